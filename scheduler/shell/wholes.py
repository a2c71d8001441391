"""What holds what in the executions that one recovers, so that no result is handed over twice.

A sub-workflow, or a dynamic task, that was handed over as a whole handed over all that was computed in it; and one of
whose results a part went elsewhere already is not whole any more. What a node only took over, in a recovery before this
one, lies where it was computed: all is told by the nodes that computed it (`Former.source`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scheduler.engine.graph import Kind
from scheduler.models import NodeExecution
from scheduler.phases import NodePhase
from scheduler.shell.turn import Turn

Row = dict[str, Any]
_FIELDS = ("id", "parent_id", "kind", "phase", "fingerprint", "recovered_from")
_MOVES = (Kind.TASK.value, Kind.ARRAY.value)  # what is below one may be elsewhere when the same is run again
SUCCEEDED = (NodePhase.SUCCEEDED, NodePhase.RECOVERED)


@dataclass
class Surroundings:
    """Of some nodes of former executions: all that they are parts of."""

    rows: dict[int, Row] = field(default_factory=dict)
    holders: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    taken: set[int] = field(default_factory=set)
    parents: set[int] = field(default_factory=set)  # those that have parts

    def around(self, pk: int) -> set[int]:
        """The node itself and what it is a part of, at whatever depth."""
        found: set[int] = set()
        left = [pk]
        while left:
            if (one := left.pop()) not in found:
                found.add(one)
                left += self.holders.get(one, ())
        return found

    def is_free(self, pk: int) -> bool:
        """Whether neither it nor what it is a part of was handed over."""
        return not self.around(pk) & self.taken

    def moves(self, pk: int) -> bool:
        """Whether it was below a dynamic task or a map. What was not stays at its own place."""
        parent = self.rows[pk]["parent_id"] if pk in self.rows else None
        while parent in self.rows:
            if self.rows[parent]["kind"] in _MOVES:
                return True
            parent = self.rows[parent]["parent_id"]
        return False

    def is_part(self, pk: int) -> bool:
        """Of something that can be handed over as a whole."""
        return any(self.rows[one]["phase"] in SUCCEEDED for one in self.around(pk) - {pk} if one in self.rows)


def surroundings(turn: Turn, pks: Iterable[int]) -> Surroundings:
    found = Surroundings()
    recovery = turn.recovery
    frontier = set(pks)
    if recovery is None or not frontier:
        return found
    while frontier:
        rows = NodeExecution.objects.filter(pk__in=frontier).values(*_FIELDS)
        found.rows.update((row["id"], row) for row in rows)
        above = {pk: {found.rows[pk]["parent_id"]} - {None} for pk in frontier if pk in found.rows}
        if len(recovery.executions) > 1:
            prints = {found.rows[pk]["fingerprint"] for pk in above} - {""}
            _add_parents_of_those_that_took(recovery.executions, prints, above)
        for pk, parents in above.items():
            found.holders[pk] |= parents
        frontier = set().union(*above.values()) - found.rows.keys()
    found.taken = _taken(turn, found.rows.values())
    below = NodeExecution.objects.filter(parent_id__in=found.rows.keys()).values_list("parent_id", flat=True).distinct()
    found.parents = {pk for pk in below if pk is not None}
    return found


def _add_parents_of_those_that_took(
    executions: Sequence[int], prints: Collection[str], above: dict[int, set[int]]
) -> None:
    rows = NodeExecution.objects.filter(
        execution_id__in=executions, fingerprint__in=sorted(prints), parent__isnull=False, recovered_from__isnull=False
    )
    for source, parent in rows.values_list("recovered_from", "parent_id"):
        if source in above:
            above[source].add(parent)


def _taken(turn: Turn, rows: Collection[Row]) -> set[int]:
    """Which of them this execution has handed over by now, in this turn or before."""
    pks = {row["id"] for row in rows}
    prints = sorted({row["fingerprint"] for row in rows} - {""})
    ours = NodeExecution.objects.filter(execution=turn.execution, recovered_from__isnull=False)
    below = ours.filter(parent__isnull=False, fingerprint__in=prints).values_list("recovered_from", flat=True)
    at_top = ours.filter(parent__isnull=True, recovered_from__in=pks).values_list("recovered_from", flat=True)
    earlier = {pk for pk in (*below, *at_top) if pk is not None}
    return pks & (earlier | (turn.recovery.taken if turn.recovery is not None else set()))


def parts_of(pk: int) -> list[Row]:
    """All that was computed in a node, by it or by those whose results it took over."""
    found: dict[int, Row] = {}
    frontier = {pk}
    while frontier:
        rows = list(NodeExecution.objects.filter(parent_id__in=frontier).values(*_FIELDS))
        sources = {row["recovered_from"] for row in rows} - {None} - found.keys()
        rows += NodeExecution.objects.filter(pk__in=sources).values(*_FIELDS)
        new = {row["id"]: row for row in rows if row["id"] not in found}
        found.update(new)
        frontier = set(new)
    return list(found.values())


def is_whole(turn: Turn, parts: Collection[Row]) -> bool:
    """Whether none of them was handed over to others."""
    return not parts or not _taken(turn, parts)
