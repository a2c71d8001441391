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
from scheduler.models import Execution, ExecutionMode, NodeExecution, NodeKind
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase, NodePhase
from scheduler.shell.flush import insert_new_nodes
from scheduler.shell.origins import Origins
from scheduler.shell.turn import ACTOR, Turn

_PHASES = {ExecutionPhase.SUCCEEDED: Phase.SUCCEEDED, ExecutionPhase.ABORTED: Phase.ABORTED}
# flytepropeller, nodes/subworkflow/launchplan.go: LaunchContext
_INHERITED = (
    "labels",
    "annotations",
    "security_context",
    "raw_output_data_config",
    "envs",
    "cluster_assignment",
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
            former = _former_child(turn, command)
            mode = ExecutionMode.CHILD_WORKFLOW if former is None else ExecutionMode.RECOVERED
            launch(request, actor=ACTOR, mode=mode, parent_node=node, reference=former, origins=origins)
    except CausewayError as error:
        yield Failed(command.key, Failure(type(error).__name__, error.message))


def _former_child(turn: Turn, command: commands.LaunchChild) -> Execution | None:
    """The child that failed in the execution that is being recovered: the new one runs only what failed there."""
    former = turn.execution.reference_id
    if turn.execution.mode != ExecutionMode.RECOVERED or former is None or command.attempt:
        return None
    children = Execution.objects.filter(parent_node__execution_id=former, parent_node__node_id=command.key)
    return children.filter(phase__in=sorted(EXECUTION_TERMINAL)).order_by("-pk").first()


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
    """The children that have ended while their nodes still wait for them."""
    waiting = NodeExecution.objects.filter(
        execution=turn.execution, kind=NodeKind.LAUNCH_PLAN, phase=NodePhase.RUNNING
    ).values_list("pk", flat=True)
    children = Execution.objects.filter(parent_node_id__in=list(waiting), phase__in=sorted(EXECUTION_TERMINAL))
    found = list(children.order_by("pk"))
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
