"""What executions do right now, as the doors show it: the answer of scheduler.doing at each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from scheduler import doing
from scheduler.doing import Doing
from scheduler.models import Execution

Rows = TypeVar("Rows", bound=Iterable[Execution])
_KEPT = "_doing"  # on the row


def with_doing(rows: Rows, known: Mapping[int, Doing] | None = None) -> Rows:
    """The same rows, each knowing what it does: one look for all of them. `known`: what was looked up already."""
    found = doing.of_executions(rows) if known is None else known
    for row in rows:
        setattr(row, _KEPT, found.get(row.pk))
    return rows


def doing_of(execution: Execution) -> Doing | None:
    """None: it has ended, or is about to. Rows of a list were given it by `with_doing`."""
    if not hasattr(execution, _KEPT):
        with_doing([execution])
    found: Doing | None = getattr(execution, _KEPT)
    return found
