"""What a recovered execution takes over from the one it recovers.

A node's outputs are handed over only to a node that computes the same: the same task, launch plan, workflow or gate, in
the same version, from the same inputs (scheduler.shell.fingerprints). Its place decides nothing. Nodes that are where
they are whatever happens are looked for at their own place. Those below a dynamic task or a map may be anywhere below
one, for such a task runs again when it is recovered and may name its nodes in another order, add some or leave some
out. One that succeeded is handed over once, by itself or as a part of something (scheduler.shell.wholes): two nodes
that compute the same may want two results.

Flyte (v1.16.8, flytepropeller's nodes/executor.go: attemptRecovery) goes by the node's id alone. So that the ids mean
the same, it takes over the dynamic workflow itself if the task had returned one. But the ids of nodes whose task was
repeated are others, and whether the inputs are still the same is not asked. Here the task runs again, as everything
else does that did not succeed, and what comes of it is as good as that of an execution started anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from flyteidl.core import literals_pb2

from artifacts.exceptions import NotFound
from artifacts.literals import marks
from artifacts.models import ArtifactVersion
from artifacts.store import store
from scheduler.approving.standing import counts
from scheduler.engine.graph import GateType, Kind
from scheduler.engine.memory import Items, Memory
from scheduler.engine.state import Node
from scheduler.graphs import Target
from scheduler.models import Execution, Gate, NodeExecution, TaskExecution
from scheduler.phases import EXECUTION_TERMINAL, AttemptPhase, NodePhase
from scheduler.shell.at_hand import read_reused
from scheduler.shell.data import hashed
from scheduler.shell.fingerprints import TEMPLATE
from scheduler.shell.formers import Recovery
from scheduler.shell.items import at_hand, item_inputs
from scheduler.shell.ready import Ready
from scheduler.shell.turn import Turn
from scheduler.shell.wholes import SUCCEEDED, Row, Surroundings, is_whole, parts_of, surroundings
from scheduler.uris import Uris, execution_of

RECOVERABLE = frozenset({Kind.TASK, Kind.WORKFLOW, Kind.LAUNCH_PLAN, Kind.ARRAY, Kind.GATE})
_FIELDS = (
    "id", "execution_id", "node_id", "kind", "phase", "fingerprint", "input_uri", "output_uri", "deck_uri", "state",
    "recovered_from",
)  # fmt: skip


def is_movable(turn: Turn, node: Node) -> bool:
    """Whether the node may stand elsewhere when the same is run again: below a dynamic task or a map."""
    return any(above.spec.kind in (Kind.TASK, Kind.ARRAY) for above in turn.rows.ancestors(node))


@dataclass(frozen=True)
class Former:
    """A node of a former execution that succeeded."""

    row: dict[str, Any]

    @property
    def source(self) -> int:
        """The node that computed its outputs: itself, unless they were handed over to it."""
        handed_over = self.row["phase"] == NodePhase.RECOVERED and self.row["recovered_from"]
        return int(handed_over or self.row["id"])


def hand_over(turn: Turn, nodes: Sequence[Ready]) -> set[str]:
    """Give the nodes what has been computed for them already. Returns the keys of those that need not run."""
    recovery = turn.recovery
    wanted = [one for one in nodes if one.fingerprint and one.node.spec.kind in RECOVERABLE]
    if recovery is None or not wanted:
        return set()
    movable = {one.key for one in wanted if is_movable(turn, one.node)}
    prints = sorted({one.fingerprint for one in wanted if one.key in movable})
    found = _intact(turn, _succeeded(recovery, [one.key for one in wanted if one.key not in movable], prints))
    around = surroundings(turn, (former.source for former in found))
    at_place, alike = (
        _by(found, "node_id"),
        _by(sorted(found, key=lambda each: around.is_part(each.source)), "fingerprint"),
    )
    wanted.sort(key=lambda one: one.node.spec.kind is Kind.TASK)  # others first, before a task takes a part of them
    done: set[str] = set()
    for candidates in (at_place, alike):  # first those that are where they were
        for one in wanted:
            if one.key in done or (candidates is alike and one.key not in movable):
                continue
            for former in candidates[one.key if candidates is at_place else one.fingerprint]:
                moves = one.key in movable
                same = _same(one, former, movable=moves) and _approval_counts(one, former)
                if same and _is_left(turn, around, former, movable=moves):
                    _give(turn, one, former)
                    around.taken.add(former.source)
                    done.add(one.key)
                    break
    return done


def _is_left(turn: Turn, around: Surroundings, former: Former, *, movable: bool) -> bool:
    """Whether it was handed over to nobody else, neither as a part of something nor in parts."""
    source = former.source
    if not around.is_free(source) or (movable and not around.moves(source)):
        return False
    if source not in around.parents and former.row["kind"] != Kind.ARRAY.value:
        return True
    parts = parts_of(source)
    if not is_whole(turn, parts) or _items_are_elsewhere(turn, [around.rows[source], *parts]):
        return False
    inside = [row["id"] for row in parts if row["kind"] == Kind.GATE.value]
    return all(counts(gate) for gate in _gates(node__in=inside)) if inside else True


def _items_are_elsewhere(turn: Turn, parts: Iterable[Row]) -> bool:
    """Whether items of maps among the nodes were handed over to other maps."""
    maps = {row["id"]: row["fingerprint"][:TEMPLATE] for row in parts if row["kind"] == Kind.ARRAY.value}
    elsewhere = turn.recovery.items if turn.recovery is not None else set()
    elsewhere = elsewhere.union(*(_reused_by_maps_of(turn, template) for template in set(maps.values()) - {""}))
    if not elsewhere:
        return False
    names = [f"execution__{name}" for name in ("project", "domain", "name")]
    for key, *place in NodeExecution.objects.filter(pk__in=maps).values_list("node_id", *names):
        uris = Uris.of(*place)
        mine = read_reused(uris.reused_items(key)).values()
        if elsewhere.intersection(mine) or any(uri.startswith(f"{uris.node(key)}/") for uri in elsewhere):
            return True
    return False


def _by(formers: Iterable[Former], column: str) -> dict[str, list[Former]]:
    found: dict[str, list[Former]] = defaultdict(list)
    for former in formers:
        found[former.row[column]].append(former)
    return found


def _succeeded(recovery: Recovery, keys: Sequence[str], prints: Sequence[str]) -> list[Former]:
    """Of all former executions, the latest first."""
    which = Q(node_id__in=keys) | Q(fingerprint__in=prints, parent__isnull=False)
    rows = NodeExecution.objects.filter(which, execution_id__in=recovery.executions, phase__in=SUCCEEDED)
    age = {pk: place for place, pk in enumerate(recovery.executions)}
    found = sorted(rows.values(*_FIELDS), key=lambda row: (age[row["execution_id"]], row["id"]))
    return [Former(row) for row in found]


def _same(one: Ready, former: Former, *, movable: bool) -> bool:
    if former.row["fingerprint"] or movable or one.node.spec.kind is Kind.GATE:
        return bool(former.row["fingerprint"] == one.fingerprint)
    # It ran before there were fingerprints, at the same place of the same version of the workflow.
    try:
        return store().get(former.row["input_uri"]) == one.content
    except NotFound:
        return False


def _approval_counts(one: Ready, former: Former) -> bool:
    """Of a gate, whether what was said still counts: a decision about what has changed since is asked for again."""
    spec = one.node.spec.gate
    if spec is None or spec.type is GateType.SLEEP:
        return True
    return all(counts(gate) for gate in _gates(execution__nodes=former.source, signal_id=spec.signal_id))


def _gates(**which: Any) -> Iterable[Gate]:
    return Gate.objects.filter(**which).select_related("execution__workflow", "node")


def _give(turn: Turn, one: Ready, former: Former) -> None:
    row = former.row
    if turn.recovery is not None:
        turn.recovery.taken.add(former.source)
    if "origins" in row["state"]:
        turn.rows.origins[one.key] = row["state"]["origins"]
    turn.set(
        one.key,
        {"output_uri": row["output_uri"], "deck_uri": row["deck_uri"], "recovered_from": former.source},
    )


def _intact(turn: Turn, formers: list[Former]) -> list[Former]:
    """Without those whose outputs are, or hold, versions whose data was removed since."""
    lost = without_data(turn, (one.row["output_uri"] for one in formers))
    return [one for one in formers if one.row["output_uri"] not in lost]


def without_data(turn: Turn, uris: Iterable[str]) -> set[str]:
    """Those of the outputs that carry versions that were removed. They are read only if there may be some."""
    wanted = {uri for uri in uris if uri}
    owners = {key for key in map(execution_of, wanted) if key}
    rows = ArtifactVersion.objects.filter(execution_key__in=owners, removed_at__isnull=False)
    removed = set(rows.values_list("pk", flat=True)) if owners else set()
    return {uri for uri in wanted if removed & _versions_in(turn, uri)} if removed else set()


def _versions_in(turn: Turn, uri: str) -> set[int]:
    try:
        literals = turn.literals.read(uri).literals
    except NotFound:
        return set()
    return {version for literal in literals.values() for version in marks(literal)[0]}


def former_child(turn: Turn, node: Node) -> Execution | None:
    """The execution of the same launch plan with the same inputs that has ended, and which no node took up yet: the
    new child runs only what it has not done.
    """
    recovery, fingerprint = turn.recovery, turn.rows.fingerprints.get(node.key, "")
    if recovery is None or not fingerprint:
        return None
    movable = is_movable(turn, node)
    place = Q(parent_node__fingerprint=fingerprint)
    if not movable:
        # One that ran before there were fingerprints counts too: it sees for itself what its nodes can take over.
        place = Q(parent_node__node_id=node.key, parent_node__fingerprint__in=[fingerprint, ""])
    ended = Execution.objects.filter(
        place, parent_node__execution_id__in=recovery.executions, phase__in=sorted(EXECUTION_TERMINAL)
    )
    # One that another recovered hands over what it has through that one.
    ended = ended.exclude(derived__parent_node__execution_id__in=[turn.execution.pk, *recovery.executions])
    rows = list(ended.values_list("pk", "parent_node_id", "parent_node__node_id"))
    around = surroundings(turn, (parent for _, parent, _ in rows if parent is not None))
    left = [
        (key == node.key, pk)
        for pk, parent, key in rows
        if parent is not None and around.is_free(parent) and (around.moves(parent) or not movable)
    ]
    return Execution.objects.get(pk=max(left)[1]) if left else None


def recovered_items(turn: Turn, one: Ready, size: int) -> dict[int, str]:
    """Outputs of those items of a map over a task that had succeeded in former executions, by the item's number here.

    An item is known by what it takes in, for the list may be longer, shorter or in another order.
    """
    recovery, array = turn.recovery, one.node.spec.array
    if recovery is None or not one.fingerprint or array is None or array.node.kind is not Kind.TASK:
        return {}
    found: dict[int, str] = {}
    taken = recovery.items | _items_taken(turn, one)
    mine: dict[str, list[int]] | None = None
    for former in _former_maps(turn, recovery, one):
        outputs = {item: uri for item, uri in _items_of(turn, one.node, former).items() if uri not in taken}
        if not outputs:
            continue
        theirs = _inputs_of(turn, former)
        if theirs is None:
            continue
        if theirs == one.content:
            pairs = [(index, index) for index in sorted(outputs) if index not in found]
        else:
            mine = mine if mine is not None else _by_content(one, one.content, range(size))
            pairs = _pairs(mine, _by_content(one, theirs, sorted(outputs)), found.keys())
        for index, item in pairs:
            found[index] = outputs[item]
            taken.add(outputs[item])
    recovery.items.update(found.values())
    return found


def _pairs(
    mine: Mapping[str, Sequence[int]], theirs: Mapping[str, Sequence[int]], found: Iterable[int]
) -> list[tuple[int, int]]:
    """(item here, item there) of the same content, each at most once; those at the same place first."""
    done = set(found)
    pairs: list[tuple[int, int]] = []
    for content, items in theirs.items():
        open_ = [index for index in mine.get(content, ()) if index not in done]
        at_place = set(open_) & set(items)
        pairs += [(index, index) for index in sorted(at_place)]
        rest = ([index for index in open_ if index not in at_place], [item for item in items if item not in at_place])
        pairs += zip(*rest)  # noqa: B905 - as many as there are of both
    return pairs


def _by_content(one: Ready, content: bytes, items: Iterable[int]) -> dict[str, list[int]]:
    inputs = at_hand(one.target.node.array_node, literals_pb2.LiteralMap.FromString(content))
    found: dict[str, list[int]] = defaultdict(list)
    for index in items:
        item = item_inputs(one.target.node.array_node, inputs, index)
        found[hashed(item.SerializeToString(deterministic=True))].append(index)
    return found


def _former_maps(turn: Turn, recovery: Recovery, one: Ready) -> list[dict[str, Any]]:
    """Of the same task; the one at the same place first, then the latest. Not those that were handed over whole."""
    place = Q(node_id=one.key)
    movable = is_movable(turn, one.node)
    if movable:
        place |= Q(kind=Kind.ARRAY.value, fingerprint__startswith=one.fingerprint[:TEMPLATE])
    rows = NodeExecution.objects.filter(place, execution_id__in=recovery.executions, state__memory__has_key="size")
    age = {pk: place for place, pk in enumerate(recovery.executions)}
    found = [
        row
        for row in rows.values(*_FIELDS, "execution__project", "execution__domain", "execution__name")
        if row["fingerprint"][:TEMPLATE] == one.fingerprint[:TEMPLATE] or not (row["fingerprint"] or movable)
    ]
    around = surroundings(turn, (row["id"] for row in found))
    found = [row for row in found if around.is_free(row["id"]) and (around.moves(row["id"]) or not movable)]
    return sorted(found, key=lambda row: (row["node_id"] != one.key, age[row["execution_id"]], row["id"]))


def _inputs_of(turn: Turn, former: Mapping[str, Any]) -> bytes | None:
    try:
        return store().get(former["input_uri"])
    except NotFound:
        return None


def _items_of(turn: Turn, node: Node, former: Mapping[str, Any]) -> dict[int, str]:
    """URIs of the outputs of the items that had succeeded: of those that publish, what carries their versions' ids."""
    uris = Uris.of(former["execution__project"], former["execution__domain"], former["execution__name"])
    known, key = Memory.unpack(former["state"]["memory"]).items or Items(), former["node_id"]
    attempts = TaskExecution.objects.filter(node=former["id"], phase=AttemptPhase.SUCCEEDED, index__gte=0)
    ran = {
        index: uri or uris.attempt_outputs(key, attempt, index)
        for index, attempt, uri in attempts.order_by("attempt").values_list("index", "attempt", "output_uri")
    }
    for refused in known.bad:  # the attempt may have succeeded, and what it wrote not
        ran.pop(refused, None)
    item = node.spec.array.node.target if node.spec.array is not None else None
    if known.declared or (isinstance(item, Target) and item.item_outputs is not None):
        ran = _with_versions(turn, {index: uris.item_outputs(key, index) for index in ran})
    found = {**(read_reused(uris.reused_items(key)) if known.reused else {}), **ran}
    lost = without_data(turn, found.values())
    return {index: uri for index, uri in found.items() if uri not in lost}


def _with_versions(turn: Turn, found: Mapping[int, str]) -> dict[int, str]:
    """Those that were published. What a turn wrote that was rolled back may lie there, with ids that nobody has."""
    carried = {index: _versions_in(turn, uri) for index, uri in found.items()}
    wanted = {version for ids in carried.values() for version in ids}
    known = set(ArtifactVersion.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    return {index: uri for index, uri in found.items() if carried[index] and carried[index] <= known}


def _items_taken(turn: Turn, one: Ready) -> set[str]:
    """What earlier turns handed over to other maps of the same task."""
    if not is_movable(turn, one.node):
        return set()
    return _reused_by_maps_of(turn, one.fingerprint[:TEMPLATE], but=one.key)


def _reused_by_maps_of(turn: Turn, template: str, *, but: str = "") -> set[str]:
    """Outputs of items that maps of that template did not have to run."""
    rows = NodeExecution.objects.filter(
        execution=turn.execution,
        kind=Kind.ARRAY.value,
        fingerprint__startswith=template,
        state__memory__has_key="reused",
    )
    keys = rows.exclude(node_id=but).values_list("node_id", flat=True)
    return {uri for key in keys for uri in read_reused(turn.uris.reused_items(key)).values()}
