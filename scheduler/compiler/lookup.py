"""Answers what a compilation needs from the registry, in a few queries.

What the principal may not read is not found: a registration tells nobody whether it exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2

from artifacts.arrays import array_of
from scheduler.authority import Authority
from scheduler.compiler.requirements import Available, Key, LaunchPlanInterface, Requirements, key_of, requirements_of
from scheduler.models import LaunchPlan, Task, Workflow
from scheduler.models.registry import RegisteredVersion
from scheduler.statements import select

Row = TypeVar("Row", bound=RegisteredVersion)


def _find(model: type[Row], keys: Iterable[Key], authority: Authority) -> list[Row]:
    wanted = {key for key in keys if authority.reads(*key[:2])}
    if not wanted:
        return []
    columns = [array_of(part) for part in zip(*sorted(wanted), strict=True)]
    return select(model, _OF_KEYS, columns, without=("spec", "digest"), planned=True)


_OF_KEYS = """(project, domain, name, version) IN (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
) ORDER BY id"""


def _key(row: RegisteredVersion) -> Key:
    return row.project, row.domain, row.name, row.version


def load(needs: Requirements, authority: Authority) -> Available:
    """What is registered of it and may be read; what is not is missing from the answer, and the compilation tells."""
    available = Available()
    needs = Requirements(set(needs.tasks), set(needs.launch_plans), set(needs.workflows))
    _load_workflows(needs, available, authority)
    asked = needs.tasks | needs.launch_plans | needs.workflows
    available.unreadable = {key[:2] for key in asked if not authority.reads(*key[:2])}
    for task in _find(Task, needs.tasks, authority):
        closure = task_pb2.TaskClosure.FromString(bytes(task.closure))
        available.tasks[_key(task)] = closure.compiled_task.template
    for launch_plan in _find(LaunchPlan, needs.launch_plans, authority):
        plan = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(launch_plan.closure))
        available.launch_plans[_key(launch_plan)] = LaunchPlanInterface(plan.expected_inputs, plan.expected_outputs)
    return available


def _load_workflows(needs: Requirements, available: Available, authority: Authority) -> None:
    """Sub-workflows bring requirements of their own. Specs are read, because closures are compiled already."""
    missing = set(needs.workflows)
    while missing:
        found = _find_specs(missing, authority)
        missing = set()
        for spec in found:
            templates = [spec.template, *spec.sub_workflows]
            for template in templates:
                available.workflows.setdefault(key_of(template.id), template)
            more = requirements_of(templates)
            needs.tasks |= more.tasks
            needs.launch_plans |= more.launch_plans
            needs.workflows |= more.workflows
            missing |= more.workflows - set(available.workflows)


def _find_specs(keys: set[Key], authority: Authority) -> list[workflow_pb2.WorkflowSpec]:
    rows = _find(Workflow, keys, authority)
    specs = Workflow.objects.filter(pk__in=[row.pk for row in rows]).values_list("spec", flat=True)
    return [workflow_pb2.WorkflowSpec.FromString(bytes(spec)) for spec in specs]
