"""Rows as the engine would leave them, for tests of what the doors show of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flyteidl.admin import execution_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2

from scheduler.models import Execution, LaunchPlan, NodeExecution, NodeKind, Task, TaskExecution, Workflow
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def make_task(name: str = "team.task", version: str = "v1", project: str = "demo") -> Task:
    closure = task_pb2.TaskClosure()
    template = closure.compiled_task.template
    template.id.CopyFrom(_identifier(identifier_pb2.TASK, project, name, version))
    template.type = "python-task"
    return Task.objects.create(**_version(project, name, version, closure), spec=b"", type="python-task")


def make_workflow(name: str = "team.flow", version: str = "v1", project: str = "demo") -> Workflow:
    closure = workflow_pb2.WorkflowClosure()
    template = closure.compiled_workflow.primary.template
    template.id.CopyFrom(_identifier(identifier_pb2.WORKFLOW, project, name, version))
    return Workflow.objects.create(**_version(project, name, version, closure), spec=b"")


def make_launch_plan(workflow: Workflow, name: str = "", version: str = "v1", **over: Any) -> LaunchPlan:
    spec = launch_plan_pb2.LaunchPlanSpec(
        workflow_id=_identifier(identifier_pb2.WORKFLOW, workflow.project, workflow.name, workflow.version)
    )
    closure = launch_plan_pb2.LaunchPlanClosure()
    fields = _version(workflow.project, name or workflow.name, version, closure)
    return LaunchPlan.objects.create(**fields, spec=spec.SerializeToString(), workflow=workflow, **over)


def _identifier(kind: int, project: str, name: str, version: str) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind,  # type: ignore[arg-type]
        project=project,
        domain="development",
        name=name,
        version=version,
    )


def _version(project: str, name: str, version: str, closure: Any) -> dict[str, Any]:
    return {
        "project": project,
        "domain": "development",
        "name": name,
        "version": version,
        "closure": closure.SerializeToString(),
        "digest": b"",
    }


def make_execution(launch_plan: LaunchPlan, name: str, seconds: float = 0, **over: Any) -> Execution:
    """An execution created some seconds after START; ended two seconds later unless `over` says otherwise."""
    fields: dict[str, Any] = {
        "project": launch_plan.project,
        "domain": launch_plan.domain,
        "name": name,
        "launch_plan": launch_plan,
        "workflow": launch_plan.workflow,
        "spec": execution_pb2.ExecutionSpec().SerializeToString(),
        "phase": ExecutionPhase.SUCCEEDED,
        "principal": "mara",
        "created_at": at(seconds),
        "started_at": at(seconds + 1),
        "ended_at": at(seconds + 2),
        "updated_at": at(seconds + 2),
    }
    return Execution.objects.create(**{**fields, **over})


def make_node(execution: Execution, node_id: str, seconds: float = 0, **over: Any) -> NodeExecution:
    fields: dict[str, Any] = {
        "execution": execution,
        "node_id": node_id,
        "spec_node_id": node_id.rpartition("-")[2],
        "kind": NodeKind.TASK,
        "phase": NodePhase.SUCCEEDED,
        "created_at": at(seconds),
        "started_at": at(seconds),
        "ended_at": at(seconds + 1),
        "updated_at": at(seconds + 1),
    }
    return NodeExecution.objects.create(**{**fields, **over})


def make_attempt(node: NodeExecution, task: Task, attempt: int = 0, index: int = -1, **over: Any) -> TaskExecution:
    fields: dict[str, Any] = {
        "node": node,
        "execution_id": node.execution_id,
        "task": task,
        "attempt": attempt,
        "index": index,
        "name": f"{node.id}-{attempt}-{index}",
        "phase": AttemptPhase.SUCCEEDED,
        "created_at": node.created_at,
        "started_at": node.started_at,
        "ended_at": node.ended_at,
        "updated_at": node.updated_at,
    }
    return TaskExecution.objects.create(**{**fields, **over})
