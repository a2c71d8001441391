"""Executions that launch plan nodes start. Parent and child are never locked together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from hashlib import blake2b

from django.db import transaction
from flyteidl.admin import execution_pb2 as admin_execution
from flyteidl.core import execution_pb2, literals_pb2

from artifacts.exceptions import CausewayError, FailedPrecondition
from scheduler.actions.executions import abort
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.engine import commands
from scheduler.engine.events import ChildEnded, Event, Failed
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure
from scheduler.graphs import Target
from scheduler.models import EndedChild, Execution, ExecutionMode, NodeExecution
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.shell.flush import insert_new_nodes
from scheduler.shell.origins import Origins
from scheduler.shell.recovery import former_child
from scheduler.shell.turn import ACTOR, Turn

BATCH = 500  # ends taken into account in one transaction
_PHASES = {ExecutionPhase.SUCCEEDED: Phase.SUCCEEDED, ExecutionPhase.ABORTED: Phase.ABORTED}
# flytepropeller, nodes/subworkflow/launchplan.go: LaunchContext
_INHERITED = (
    "labels",
    "annotations",
    "security_context",
    "raw_output_data_config",
    "envs",
    "cluster_assignment",
    "execution_cluster_label",
    "interruptible",
)


def child_name(execution_id: int, key: str, attempt: int) -> str:
    """The same whenever the child is launched again, so that it is launched once."""
    return "f" + blake2b(f"{execution_id}:{key}:{attempt}".encode(), digest_size=9).hexdigest()


def launch_child(turn: Turn, command: commands.LaunchChild) -> Iterator[Event]:
    target = turn.rows[command.key].spec.target
    if not isinstance(target, Target):
        return
    insert_new_nodes(turn)  # the child refers to its node
    execution = turn.execution
    node = NodeExecution(pk=turn.rows.pks[command.key], execution=execution, node_id=command.key)
    spec = admin_execution.ExecutionSpec(launch_plan=target.node.workflow_node.launchplan_ref)
    for name in _INHERITED:
        if turn.spec.HasField(name):
            getattr(spec, name).CopyFrom(getattr(turn.spec, name))
    spec.max_parallelism = turn.spec.max_parallelism
    spec.overwrite_cache = turn.spec.overwrite_cache
    request = LaunchRequest(
        project=execution.project,
        domain=execution.domain,
        name=child_name(execution.pk, command.key, command.attempt),
        spec=spec,
        inputs=_copy(turn.literals.read(turn.uris.inputs(command.key))),
    )
    try:
        with transaction.atomic():
            origins = turn.rows.origins.get(command.key, Origins()).get("taken", {})
            # What failed in the execution that is being recovered: the new child runs only what has not succeeded.
            former = former_child(turn, turn.rows[command.key]) if not command.attempt else None
            mode = ExecutionMode.CHILD_WORKFLOW if former is None else ExecutionMode.RECOVERED
            launch(request, actor=ACTOR, mode=mode, parent_node=node, reference=former, origins=origins)
    except CausewayError as error:
        yield Failed(command.key, Failure(type(error).__name__, error.message))


def _copy(values: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
    copied = literals_pb2.LiteralMap()
    copied.CopyFrom(values)
    return copied


def abort_child(turn: Turn, command: commands.AbortChild) -> Iterator[Event]:
    pk = turn.rows.pks.get(command.key)
    if pk is not None:
        transaction.on_commit(partial(abort_children_of, pk, cause=command.cause))
    return iter(())


def abort_children_of(node_id: int, *, cause: str) -> None:
    """Abort what runs for the node. The sweep does it for those that died before."""
    for child in Execution.objects.filter(parent_node_id=node_id).exclude(phase__in=sorted(EXECUTION_TERMINAL)):
        try:
            abort(child, cause=cause, actor=ACTOR)
        except FailedPrecondition:
            continue  # it has ended meanwhile


def ended_children(turn: Turn) -> list[Event]:
    """The children that have ended since the parent looked last; of very many, the next turn takes the rest."""
    news = EndedChild.objects.filter(parent_id=turn.execution.pk).order_by("pk")
    turn.ended_children = list(news.values_list("child_id", flat=True)[:BATCH])
    turn.more_to_do = len(turn.ended_children) == BATCH
    if not turn.ended_children:
        return []
    rows = Execution.objects.filter(pk__in=turn.ended_children, parent_node__isnull=False).order_by("pk")
    found = list(rows.defer("spec", "resolution", "task_resources"))
    turn.rows.load_pks({child.parent_node_id for child in found if child.parent_node_id is not None})
    keys = [turn.rows.key_of(child.parent_node_id) for child in found if child.parent_node_id is not None]
    turn.rows.load_downstream(keys)
    return [_of_child(turn, key, child) for key, child in zip(keys, found, strict=True)]


def _of_child(turn: Turn, key: str, child: Execution) -> Event:
    node = turn.rows[key]
    present = child.name == child_name(turn.execution.pk, key, node.attempt)
    attempt = node.attempt if present else -1
    phase = _PHASES.get(ExecutionPhase(child.phase), Phase.FAILED)
    if phase is Phase.SUCCEEDED:
        if present:
            turn.set(key, {"output_uri": child.outputs_uri})
            if "origins" in child.counters or key in turn.rows.origins:
                entry = turn.rows.origins.setdefault(key, Origins())
                entry["given"] = child.counters.get("origins", {}).get("given", {})
        return ChildEnded(key, phase=phase, attempt=attempt)
    return ChildEnded(key, phase=phase, attempt=attempt, failure=_failure(child))


def _failure(child: Execution) -> Failure:
    if child.phase == ExecutionPhase.ABORTED:
        message = f"child execution {child.key} was aborted by {child.aborted_by or 'somebody'}: {child.abort_cause}"
        return Failure("ChildAborted", message)
    error = execution_pb2.ExecutionError.FromString(bytes(child.error or b""))
    return Failure(
        code=error.code or "ChildFailed",
        message=f"child execution {child.key} failed: {error.message}",
        system=error.kind == execution_pb2.ExecutionError.SYSTEM,
        uri=error.error_uri,
    )
