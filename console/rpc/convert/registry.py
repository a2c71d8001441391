"""Registered versions, names and projects as flyteidl.admin messages."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from flyteidl.admin import common_pb2, launch_plan_pb2, project_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2

from artifacts.queries import MayRead
from console.rpc.convert.common import identifier
from scheduler.models import LaunchPlan, NamedEntity, Project, Task, Workflow


def task(row: Task) -> task_pb2.Task:
    closure = task_pb2.TaskClosure.FromString(bytes(row.closure))
    closure.created_at.FromDatetime(row.created_at)
    return task_pb2.Task(id=identifier(row), closure=closure, short_description=row.short_description)


def workflow(row: Workflow, may_read: MayRead) -> workflow_pb2.Workflow:
    closure = workflow_pb2.WorkflowClosure.FromString(bytes(row.closure))
    hide_code(closure.compiled_workflow, may_read)
    closure.created_at.FromDatetime(row.created_at)
    return workflow_pb2.Workflow(id=identifier(row), closure=closure, short_description=row.short_description)


# What runs, with what environment; the rest says what goes in and out.
_CODE = ("container", "k8s_pod", "sql", "custom", "config", "security_context", "extended_resources")


def hide_code(compiled: compiler_pb2.CompiledWorkflowClosure, may_read: MayRead) -> None:
    """Of the tasks in a compiled workflow that lie where the caller may not read, leave the interface alone: somebody
    who may has registered it."""
    for one in compiled.tasks:
        if not may_read(one.template.id.project, one.template.id.domain):
            for field in _CODE:
                one.template.ClearField(field)


def workflow_summary(row: Workflow) -> workflow_pb2.Workflow:
    """As Flyte lists workflows: with the interface alone instead of the compiled closure."""
    full = workflow(row, lambda project, domain: True)
    summary = workflow_pb2.Workflow(id=full.id, short_description=full.short_description)
    summary.closure.created_at.CopyFrom(full.closure.created_at)
    interface = full.closure.compiled_workflow.primary.template.interface
    summary.closure.compiled_workflow.primary.template.interface.CopyFrom(interface)
    return summary


def launch_plan(row: LaunchPlan) -> launch_plan_pb2.LaunchPlan:
    closure = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(row.closure))
    closure.state = row.state  # type: ignore[assignment]
    closure.created_at.FromDatetime(row.created_at)
    closure.updated_at.FromDatetime(row.state_changed_at)
    spec = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(row.spec))
    return launch_plan_pb2.LaunchPlan(id=identifier(row), spec=spec, closure=closure)


def named_entity(row: NamedEntity) -> common_pb2.NamedEntity:
    state = common_pb2.NAMED_ENTITY_ARCHIVED if row.archived else common_pb2.NAMED_ENTITY_ACTIVE
    return common_pb2.NamedEntity(
        resource_type=row.resource_type,  # type: ignore[arg-type]
        id=named_entity_id(row),
        metadata=common_pb2.NamedEntityMetadata(description=row.description, state=state),
    )


def named_entity_id(row: NamedEntity) -> common_pb2.NamedEntityIdentifier:
    return common_pb2.NamedEntityIdentifier(project=row.project, domain=row.domain, name=row.name)


def identifier_list(rows: Iterable[NamedEntity], token: str) -> common_pb2.NamedEntityIdentifierList:
    return common_pb2.NamedEntityIdentifierList(entities=[named_entity_id(row) for row in rows], token=token)


def domains() -> list[project_pb2.Domain]:
    """The platform's domains; every project has all of them, as in Flyte."""
    return [project_pb2.Domain(id=domain, name=domain) for domain in settings.CAUSEWAY_DOMAINS]


def project(row: Project) -> project_pb2.Project:
    return project_pb2.Project(
        id=row.identifier,
        name=row.name,
        description=row.description,
        labels=common_pb2.Labels(values=row.labels),
        state=row.state,  # type: ignore[arg-type]
        domains=domains(),
    )
