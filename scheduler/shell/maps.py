"""The data of map nodes: where an item finds its inputs, and how the items' outputs are joined."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from django.db.models import QuerySet
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import literals_pb2, workflow_pb2

from artifacts.exceptions import NotFound
from artifacts.literals import without_marks
from scheduler.engine import commands
from scheduler.engine.events import Collected, Event, Failed
from scheduler.engine.kinds.array import array_of, items_of
from scheduler.engine.phases import DONE
from scheduler.engine.state import ROOT, Node
from scheduler.graphs import Target, identity
from scheduler.models import LaunchPlan, NodeExecution, TaskExecution
from scheduler.phases import NODE_DONE, AttemptPhase
from scheduler.shell import data
from scheduler.shell.at_hand import read_reused
from scheduler.shell.item_blocks import block_of, inputs_of
from scheduler.shell.origins import Origins, by_variable
from scheduler.shell.publish import published_by_items
from scheduler.shell.reuse import items_from_cache
from scheduler.shell.turn import Turn

NONE = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))


def item_inputs_of(turn: Turn, node: Node) -> literals_pb2.LiteralMap | None:
    """What a node below a map takes in; None for any other node."""
    array = turn.rows[node.parent or ROOT]
    if array.spec.array is None or not isinstance(array.spec.target, Target):
        return None
    return inputs_of(turn, array, array.spec.target, int(node.spec.id[1:]))


def item_inputs_uri(turn: Turn, key: str, index: int, *, alone: bool = False) -> tuple[str, int]:
    """Where an item of a task finds its inputs, and the index of the first item of the lists there.

    A task that reads lists by itself shares a file with others. For the other tasks, and for whoever reads one item
    (`alone`), the item's own file is written.
    """
    array = turn.rows[key]
    target = array.spec.target
    if not isinstance(target, Target):
        return turn.uris.inputs(key), 0
    shared, first = block_of(turn, array, target, index)
    if target.node.array_node.data_mode == workflow_pb2.ArrayNode.SINGLE_INPUT_FILE and not alone:
        return shared, first
    uri = turn.uris.item_inputs(key, index)
    turn.literals.write(uri, inputs_of(turn, array, target, index))
    return uri, 0


def collect_items(turn: Turn, command: commands.Collect) -> Iterator[Event]:
    """Join the items' outputs to lists, None standing for what failed."""
    node = turn.rows[command.key]
    if node.body is not None:
        _join_origins(turn, node)
    joined = literals_pb2.LiteralMap()
    uris = _output_uris(turn, node.key) if node.body is None else _node_output_uris(turn, node.key)
    known = items_of(node)
    failed = set(known.bad)
    if known.reused:
        uris = {**read_reused(turn.uris.reused_items(node.key)), **uris}
        missing = set(range(known.size)) - failed - uris.keys()
        uris |= items_from_cache(turn, node, missing)
    names = _names(array_of(node).node.target)
    for name in names:
        joined.literals[name].collection.SetInParent()
    # What the items of a task wrote that publishes nothing is all the user's own word.
    marked = node.body is not None or published_by_items(node) is not None
    try:
        for values in _items(known.size, failed, uris) if names else ():
            for name in names:
                item = NONE if values is None else values[name] if marked else without_marks(values[name])
                joined.literals[name].collection.literals.append(item)
    except _Lacking as error:
        yield Failed(node.key, data.Unresolved(str(error), "OutputsNotFound").failure())
        return
    uri = turn.uris.outputs(node.key)
    turn.literals.write(uri, joined)
    turn.set(node.key, {"output_uri": uri})
    yield Collected(node.key)


class _Lacking(Exception):
    """An item that succeeded has not written what it should."""


class _Outputs(dict[str, literals_pb2.Literal]):
    def __init__(self, index: int, values: literals_pb2.LiteralMap) -> None:
        super().__init__(values.literals)
        self.index = index

    def __missing__(self, name: str) -> literals_pb2.Literal:
        raise _Lacking(f"item {self.index} did not write its output {name!r}")


def _items(size: int, failed: Collection[int], uris: Mapping[int, str]) -> Iterator[_Outputs | None]:
    """What each item wrote; None for those that failed."""
    there = [index for index in range(size) if index not in failed]
    if lacking := [index for index in there if index not in uris]:
        raise _Lacking(f"item {lacking[0]} wrote no outputs")
    try:
        written = data.read_many([uris[index] for index in there])
        for index in range(size):
            yield None if index in failed else _Outputs(index, next(written))
    except NotFound as error:
        raise _Lacking(f"the outputs of an item are gone: {error.message}") from None


def _join_origins(turn: Turn, node: Node) -> None:
    """Each list comes of all that its items come of; items that compute need no word of their own."""
    rows = _stored_items(turn, node.key).filter(state__has_key="origins")
    stored = {key: state["origins"] for key, state in rows.values_list("node_id", "state")}
    stored |= {key: entry for key, entry in turn.rows.origins.items() if key in turn.changed}
    given: dict[str, set[int]] = {}
    for key, entry in stored.items():
        if turn.rows[key].parent == node.key:
            for name, ids in entry.get("given", {}).items():
                given.setdefault(name, set()).update(ids)
    if given or node.key in turn.rows.origins:
        turn.rows.origins.setdefault(node.key, Origins())["given"] = by_variable(given)


def _names(target: object) -> list[str]:
    """Names of the outputs of what is mapped."""
    if not isinstance(target, Target):
        return []
    if target.task is not None:
        return list(target.task.interface.outputs.variables)
    project, domain, name, version = identity(target.node.workflow_node.launchplan_ref)
    plan = LaunchPlan.objects.only("closure").get(project=project, domain=domain, name=name, version=version)
    return list(launch_plan_pb2.LaunchPlanClosure.FromString(bytes(plan.closure)).expected_outputs.variables)


def _node_output_uris(turn: Turn, key: str) -> dict[int, str]:
    rows = _stored_items(turn, key).filter(phase__in=sorted(NODE_DONE))
    stored = dict(rows.values_list("node_id", "output_uri"))
    present = {node_id: turn.rows.output_uris.get(node_id) or uri for node_id, uri in stored.items()}
    for changed in turn.changed.values():  # those that ended in this very turn
        if changed.parent == key and changed.phase in DONE:
            present[changed.key] = turn.rows.output_uris.get(changed.key, "")
    return {int(node_id.rpartition("-n")[2]): uri for node_id, uri in present.items() if uri}


def _stored_items(turn: Turn, key: str) -> QuerySet[NodeExecution]:
    """Rows below the map; none if it began in this very turn, as one over nothing does."""
    pk = turn.rows.pks.get(key)
    return NodeExecution.objects.none() if pk is None else NodeExecution.objects.filter(parent_id=pk)


def _output_uris(turn: Turn, key: str) -> dict[int, str]:
    pk = turn.rows.pks.get(key)  # none if the node began in this very turn: a map over nothing
    rows = TaskExecution.objects.filter(node_id=pk, phase=AttemptPhase.SUCCEEDED)
    found = rows.order_by("attempt").values_list("index", "attempt", "output_uri")
    if published_by_items(turn.rows[key]) is not None:
        return {index: turn.uris.item_outputs(key, index) for index, _, _ in found}
    return {index: output_uri or turn.uris.attempt_outputs(key, attempt, index) for index, attempt, output_uri in found}
