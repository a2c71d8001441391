"""What can be launched, looked up: a launch plan, or a task through the workflow made for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from django.db import connection, transaction
from flyteidl.admin import launch_plan_pb2, task_pb2
from flyteidl.core import identifier_pb2, interface_pb2, tasks_pb2

from artifacts.exceptions import AlreadyExists, InvalidArgument, NotFound
from scheduler.actions.identifiers import check_fields, check_project_state
from scheduler.actions.register import register_launch_plan, register_workflow
from scheduler.compiler.errors import spell
from scheduler.compiler.single_task import PREFIX, generated_identifier, launch_plan_for, workflow_for
from scheduler.models import LaunchPlan, Task, Trigger


@dataclass(frozen=True)
class Launchable:
    """What never changes of a launch plan version, parsed. Read only: it is shared."""

    pk: int
    workflow_id: int
    project: str
    domain: str
    name: str
    spec: launch_plan_pb2.LaunchPlanSpec
    expected: interface_pb2.ParameterMap
    trigger_id: int | None


@lru_cache(maxsize=2048)
def launchable(launch_plan_id: int) -> Launchable:
    row = LaunchPlan.objects.get(pk=launch_plan_id)
    return Launchable(
        pk=row.pk,
        workflow_id=row.workflow_id,
        project=row.project,
        domain=row.domain,
        name=row.name,
        spec=launch_plan_pb2.LaunchPlanSpec.FromString(bytes(row.spec)),
        expected=launch_plan_pb2.LaunchPlanClosure.FromString(bytes(row.closure)).expected_inputs,
        trigger_id=Trigger.objects.filter(launch_plan=row).values_list("pk", flat=True).first(),
    )


def find_launchable(
    wanted: identifier_pb2.Identifier, *, project: str, domain: str, actor: str
) -> tuple[Launchable, int | None, bool]:
    """The launch plan, the task's key when it is a task that is launched, and whether the project has attributes.

    One query also answers whether `project`, where it is to run, takes any. Raises NotFound, InvalidArgument.
    """
    check_fields(wanted)
    if wanted.resource_type == identifier_pb2.LAUNCH_PLAN:
        pk, configured = _find(_FIND_LAUNCH_PLAN, "launch plan", wanted, project, domain)
        return launchable(pk), None, configured
    if wanted.resource_type == identifier_pb2.TASK:
        pk, configured = _find(_FIND_TASK, "task", wanted, project, domain)
        return launchable(_generated_launch_plan(wanted, pk, actor=actor)), pk, configured
    raise InvalidArgument("invalid reference entity resource type: a launch plan or a task can be launched")


# Written by hand: every launch asks this, and building the query took longer than answering it.
_FIND = """
    SELECT project.state, found.id,
        EXISTS (SELECT 1 FROM scheduler_matchableattributes AS set_there WHERE set_there.project = project.identifier)
    FROM scheduler_project AS project
    LEFT JOIN {table} AS found
        ON found.project = %s AND found.domain = %s AND found.name = %s AND found.version = %s
    WHERE project.identifier = %s
"""
_FIND_LAUNCH_PLAN = _FIND.format(table="scheduler_launchplan")
_FIND_TASK = _FIND.format(table="scheduler_task")


def _find(sql: str, what: str, wanted: identifier_pb2.Identifier, project: str, domain: str) -> tuple[int, bool]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted.project, wanted.domain, wanted.name, wanted.version, project])
        state, found, configured = cursor.fetchone() or (None, None, False)
    check_project_state(project, domain, state)
    if found is None:
        raise NotFound(f"{what} {spell(wanted)} is not registered")
    return int(found), bool(configured)


def _generated_launch_plan(wanted: identifier_pb2.Identifier, task_id: int, *, actor: str) -> int:
    """The launch plan of the workflow that runs the task alone; made the first time it is asked for."""
    generated = LaunchPlan.objects.filter(
        project=wanted.project, domain=wanted.domain, name=f"{PREFIX}{wanted.name}", version=wanted.version
    ).values_list("pk", flat=True)
    existing = generated.first()
    if existing is not None:
        return existing
    closure = task_pb2.TaskClosure.FromString(bytes(Task.objects.values_list("closure", flat=True).get(pk=task_id)))
    _register_generated(closure.compiled_task.template, actor=actor)
    return generated.get()


def _register_generated(template: tasks_pb2.TaskTemplate, *, actor: str) -> None:
    workflow_id = generated_identifier(template.id, identifier_pb2.WORKFLOW)
    launch_plan_id = generated_identifier(template.id, identifier_pb2.LAUNCH_PLAN)
    # Somebody else may do the same at the same time; what they make is what we would have made.
    with suppress(AlreadyExists), transaction.atomic():
        register_workflow(workflow_id, workflow_for(template), actor=actor)
    with suppress(AlreadyExists), transaction.atomic():
        register_launch_plan(launch_plan_id, launch_plan_for(template), actor=actor)
