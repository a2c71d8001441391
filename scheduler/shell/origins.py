"""Which published versions flowed into a value: kept per node execution, so that nodes without artifacts pass it on.

A literal that is a version says so itself (its mark), and nothing else need be asked. For every other value the node
that wrote it knows what it took in. An entry is `{"taken": {input: ids}, "given": {output: ids}}`: nodes that compute
(tasks, gates, maps of tasks) have no `given`, for each of their outputs comes of all they took in; nodes that contain
others (workflows, dynamic tasks, launch plans) write down each output on its own. Nodes that nothing flowed into have
no entry. Entries lie in the node's `state` column (the execution's `counters` for the whole workflow): what nothing
flowed into costs nothing.

Ids are of the nearest versions: what those were made of is known from their own publication.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypedDict

MAX_CARRIED = 10_000  # ids of one value; of more, the newest


class Origins(TypedDict, total=False):
    """An entry: ids by variable."""

    taken: dict[str, list[int]]
    given: dict[str, list[int]]


def bounded(ids: Iterable[int]) -> list[int]:
    return sorted(set(ids))[-MAX_CARRIED:]


def by_variable(ids: Mapping[str, Collection[int]]) -> dict[str, list[int]]:
    """Only of the variables that something flowed into."""
    return {name: bounded(found) for name, found in sorted(ids.items()) if found}


def all_taken(entry: Origins | None) -> set[int]:
    """Everything that flowed into the node."""
    taken = entry.get("taken", {}) if entry else {}
    return {version for ids in taken.values() for version in ids}


def of_input(entry: Origins | None, name: str) -> Collection[int]:
    return entry.get("taken", {}).get(name, ()) if entry else ()


def of_output(entry: Origins | None, name: str) -> Collection[int]:
    """What an output comes of: what the node wrote down about it, else all that it took in."""
    if not entry:
        return ()
    given = entry.get("given")
    return given.get(name, ()) if given is not None else all_taken(entry)
