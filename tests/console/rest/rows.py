"""Rows of executions, made without running anything."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from flyteidl.core import execution_pb2, types_pb2

from scheduler.models import Execution, Gate, GateKind, NodeExecution, NodeKind, PhaseEvent, TaskExecution, Workflow
from scheduler.phases import AttemptPhase, ExecutionPhase, Machine, NodePhase

START = datetime(2026, 5, 17, 12, 0, tzinfo=timezone.utc)


def make_workflow(project: str = "demo", name: str = "w") -> Workflow:
    found = Workflow.objects.filter(project=project, domain="development", name=name).first()
    return found or Workflow.objects.create(
        project=project, domain="development", name=name, version="v1", spec=b"", closure=b"", digest=b""
    )


def make_execution(name: str = "e1", project: str = "demo", minutes: int = 0, **over: Any) -> Execution:
    at = START + timedelta(minutes=minutes)
    fields: dict[str, Any] = {
        "workflow": over.pop("workflow", None) or make_workflow(project),
        "phase": ExecutionPhase.RUNNING,
        "spec": b"",
        "principal": "ann",
        "created_at": at,
        "updated_at": at,
    }
    return Execution.objects.create(project=project, domain="development", name=name, **{**fields, **over})


def make_node(execution: Execution, node_id: str = "n0", **over: Any) -> NodeExecution:
    fields: dict[str, Any] = {
        "kind": NodeKind.TASK,
        "phase": NodePhase.RUNNING,
        "created_at": START,
        "updated_at": START,
    }
    return NodeExecution.objects.create(
        execution=execution, node_id=node_id, spec_node_id=node_id, **{**fields, **over}
    )


def make_attempt(node: NodeExecution, attempt: int = 0, **over: Any) -> TaskExecution:
    fields: dict[str, Any] = {
        "name": f"{node.execution.name}-{node.node_id}-{attempt}-{over.get('index', '')}",
        "execution_id": node.execution_id,
        "phase": AttemptPhase.RUNNING,
        "created_at": START,
        "updated_at": START,
    }
    return TaskExecution.objects.create(node=node, attempt=attempt, **{**fields, **over})


def make_gate(execution: Execution, signal_id: str = "ok", **over: Any) -> Gate:
    literal_type = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)
    node = make_node(execution, f"n-{signal_id}", kind=NodeKind.GATE)
    fields: dict[str, Any] = {
        "node": node,
        "kind": GateKind.APPROVE,
        "literal_type": literal_type.SerializeToString(),
        "waiting_since": START,
        "created_at": START,
    }
    return Gate.objects.create(execution=execution, signal_id=signal_id, **{**fields, **over})


def make_event(execution: Execution, machine: Machine, object_id: int, **over: Any) -> PhaseEvent:
    fields: dict[str, Any] = {"from_phase": 1, "to_phase": 2, "at": START, "actor": "ann"}
    return PhaseEvent.objects.create(
        execution_id=execution.pk, machine=machine, object_id=object_id, **{**fields, **over}
    )


def user_error(message: str) -> bytes:
    return execution_pb2.ExecutionError(
        code="USER:ValueError", message=message, kind=execution_pb2.ExecutionError.USER
    ).SerializeToString()
