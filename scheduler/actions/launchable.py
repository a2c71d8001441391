"""What can be launched, looked up: a launch plan, or a task through the workflow made for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from django.db import transaction
from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, tasks_pb2

from artifacts.exceptions import AlreadyExists, InvalidArgument, NotFound
from artifacts.prepared import prepared
from scheduler.actions.identifiers import check_fields, check_project_state
from scheduler.actions.register import register_launch_plan, register_workflow
from scheduler.asked_once import once
from scheduler.authority import Action, Authority, Place
from scheduler.compiler.errors import spell
from scheduler.compiler.requirements import places_of
from scheduler.compiler.single_task import PREFIX, generated_identifier, launch_plan_for, workflow_for
from scheduler.models import LaunchPlan, Task


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
    places: frozenset[Place]  # of its workflow and all that this holds or starts, its own among them


@lru_cache(maxsize=2048)
def launchable(launch_plan_id: int) -> Launchable:
    row = LaunchPlan.objects.select_related("workflow").defer("workflow__spec").get(pk=launch_plan_id)
    workflow = row.workflow
    closure = workflow_pb2.WorkflowClosure.FromString(bytes(workflow.closure)).compiled_workflow
    own = {(row.project, row.domain), (workflow.project, workflow.domain)}
    return Launchable(
        pk=row.pk,
        workflow_id=row.workflow_id,
        project=row.project,
        domain=row.domain,
        name=row.name,
        spec=launch_plan_pb2.LaunchPlanSpec.FromString(bytes(row.spec)),
        expected=launch_plan_pb2.LaunchPlanClosure.FromString(bytes(row.closure)).expected_inputs,
        places=places_of(closure) | own,
    )


class Found(NamedTuple):
    """`task_id`: of the task, when it is one that is launched. `is_configured`: the project where it is to run takes
    attributes. `is_shadowed`: challengers of a contest run beside it.
    """

    plan: Launchable
    task_id: int | None
    is_configured: bool
    is_shadowed: bool


def find_launchable(wanted: identifier_pb2.Identifier, *, place: Place, authority: Authority) -> Found:
    """The launch plan, or that of the task, with all that a launch has to know, by one query.

    Raises InvalidArgument; NotFound for what is not registered and for what the principal may not read;
    PermissionDenied where that leads to what he may not read.
    """
    check_fields(wanted)
    if wanted.resource_type == identifier_pb2.LAUNCH_PLAN:
        pk, configured, shadowed = _find(_FIND_LAUNCH_PLAN, "launch plan", wanted, place, authority)
        plan = launchable(pk)
        check_places(plan, authority)
        return Found(plan, None, configured, shadowed)
    if wanted.resource_type == identifier_pb2.TASK:
        pk, configured, _ = _find(_FIND_TASK, "task", wanted, place, authority)
        plan = launchable(_generated_launch_plan(wanted, pk, actor=authority.principal))
        return Found(plan, pk, configured, is_shadowed=False)
    raise InvalidArgument("invalid reference entity resource type: a launch plan or a task can be launched")


def check_places(plan: Launchable, authority: Authority) -> None:
    """PermissionDenied unless the principal may read all that the launch plan holds or starts: roles may have changed
    since it was registered, and whoever launches it may be somebody else."""
    authority.require(Action.READ, sorted(plan.places), what=f", which launch plan {plan.name} leads to")


# Written by hand: every launch asks this, and building the query took longer than answering it.
_FIND = """
    SELECT project.state, found.id,
        EXISTS (SELECT 1 FROM scheduler_matchableattributes AS set_there WHERE set_there.project = project.identifier),
        EXISTS (
            SELECT 1 FROM scheduler_contest AS contest
            WHERE contest.removed_at IS NULL AND contest.shadow_plan <> '' AND contest.project = found.project
              AND contest.domain = found.domain AND contest.shadow_plan = found.name
        )
    FROM scheduler_project AS project
    LEFT JOIN {table} AS found
        ON found.project = %s::text AND found.domain = %s::text AND found.name = %s::text AND found.version = %s::text
    WHERE project.identifier = %s::text
"""
_FIND_LAUNCH_PLAN = _FIND.format(table="scheduler_launchplan")
_FIND_TASK = _FIND.format(table="scheduler_task")


def _find(
    sql: str, what: str, wanted: identifier_pb2.Identifier, place: Place, authority: Authority
) -> tuple[int, bool, bool]:
    key = (wanted.project, wanted.domain, wanted.name, wanted.version, place[0])
    state, found, configured, shadowed = once((sql, *key), partial(_ask, sql, key))
    check_project_state(*place, state)
    if found is None or not authority.reads(wanted.project, wanted.domain):
        raise NotFound(f"{what} {spell(wanted)} is not registered")
    return int(found), bool(configured), bool(shadowed)


def _ask(sql: str, key: Sequence[str]) -> tuple[Any, ...]:
    with prepared() as cursor:
        cursor.execute(sql, key)
        return cursor.fetchone() or (None, None, False, False)


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
