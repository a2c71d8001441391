"""Which task or launch plan judges, and the launch plan made of it: the same, with the version as one of its inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.utils import timezone
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import identifier_pb2, interface_pb2, types_pb2

from artifacts import literals, wire
from artifacts.exceptions import AlreadyExists, InvalidArgument, NotFound
from artifacts.governance.kinds import Facts, Kind, Verdict, bounds_of
from artifacts.governance.reading import Members
from artifacts.models import Artifact, CheckStatus
from scheduler.actions.launchable import Launchable, find_launchable
from scheduler.actions.register import register_launch_plan
from scheduler.authority import Action, Authority
from scheduler.compiler.single_task import PREFIX
from scheduler.models import LaunchPlan, Task, Trigger
from scheduler.triggers.judging.answers import check_answer
from scheduler.triggers.plan import TRIGGERING, interface_of

MINUTES = 60.0  # for an answer, unless the check says otherwise
MAX_MINUTES = 7 * 24 * 60.0
MADE = f"{PREFIX}check."  # begins the names of the launch plans made here


def _read(members: Members) -> dict[str, Any]:
    found: dict[str, Any] = {"task": members.text("task"), "launch_plan": members.text("launch_plan")}
    if bool(found["task"]) == bool(found["launch_plan"]):
        raise InvalidArgument(f"{members.what} names what judges: 'task' or 'launch_plan', one of them")
    return {
        **found,
        "version": members.text("version"),
        "input": members.text("input"),
        "inputs": members.mapping_of_any("inputs"),
        "minutes": members.number("minutes", least=0.01, most=MAX_MINUTES) or MINUTES,
        **bounds_of(members, required=False),
    }


def _wait(parameters: Mapping[str, Any], facts: Facts) -> Verdict:
    return Verdict(CheckStatus.PENDING, "its program was not asked yet")


def _declare(artifact: Artifact, check: str, parameters: Mapping[str, Any], actor: str) -> None:
    trigger_of(artifact, check, parameters, principal=actor)


PROGRAM = Kind("program", "a task or launch plan of yours says whether it passes", _read, _wait, asks=True,
               declare=_declare)  # fmt: skip


def trigger_of(artifact: Artifact, check: str, parameters: Mapping[str, Any], *, principal: str) -> Trigger:
    """The trigger by which the check's program is launched, made the first time. `principal`: who set the check; it
    runs with his rights, in the artifact's project and in no other.

    Without a `version` it is the active one of the launch plan, else the newest; of a task the newest. NotFound where
    there is none, PermissionDenied where he may not launch there, InvalidArgument where it does not take the version,
    wants more than that, or does not answer.
    """
    place = (artifact.project, artifact.domain)
    authority = Authority(principal, project=artifact.project)
    authority.require(Action.LAUNCH, [place], what=", where the check's program runs")
    wanted = _wanted(artifact, parameters)
    plan = find_launchable(wanted, place=place, authority=authority).plan
    spec = _spec_of(artifact, check, parameters, plan)
    digest = hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest()[:16]
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=artifact.project,
        domain=artifact.domain,
        name=f"{MADE}{artifact.name[:150]}.{check}",
        version=f"{wanted.version[:200]}-{digest}",
    )
    rows = Trigger.objects.filter(
        launch_plan__project=artifact.project,
        launch_plan__domain=artifact.domain,
        launch_plan__name=identifier.name,
        launch_plan__version=identifier.version,
    )
    if not rows.exists():
        # Somebody else may do the same at the same time; what they make is what we would have made.
        with suppress(AlreadyExists), transaction.atomic():
            register_launch_plan(identifier, spec, actor=principal)
    trigger = rows.select_related("launch_plan").get()
    if (trigger.active, trigger.activated_by) != (True, principal):
        trigger.active, trigger.activated_by, trigger.activated_project = True, principal, artifact.project
        trigger.activated_at = trigger.activated_at or timezone.now()
        trigger.save(update_fields=["active", "activated_by", "activated_project", "activated_at"])
    return trigger


def _wanted(artifact: Artifact, parameters: Mapping[str, Any]) -> identifier_pb2.Identifier:
    is_task = "task" in parameters
    name = parameters["task" if is_task else "launch_plan"]
    version = parameters.get("version")
    if not version:
        place = {"project": artifact.project, "domain": artifact.domain, "name": name}
        rows = (
            Task.objects.filter(**place).order_by("-created_at", "-pk")
            if is_task
            else LaunchPlan.objects.filter(**place).order_by("-state", "-created_at", "-pk")
        )
        version = rows.values_list("version", flat=True).first()
    if not version:
        what = "task" if is_task else "launch plan"
        raise NotFound(f"no {what} {name} is registered in {artifact.project}/{artifact.domain}")
    kind = identifier_pb2.TASK if is_task else identifier_pb2.LAUNCH_PLAN
    return identifier_pb2.Identifier(
        resource_type=kind, project=artifact.project, domain=artifact.domain, name=name, version=version
    )


def _spec_of(
    artifact: Artifact, check: str, parameters: Mapping[str, Any], plan: Launchable
) -> launch_plan_pb2.LaunchPlanSpec:
    """The launch plan's own, with the inputs that the check gives, and launched for versions instead of by itself."""
    interface = interface_of(LaunchPlan.objects.select_related("workflow").get(pk=plan.pk))
    check_answer(
        {name: variable.type for name, variable in interface.outputs.variables.items()},
        bounded="at_least" in parameters or "at_most" in parameters,
    )
    variables = dict(interface.inputs.variables)
    constants = _constants(parameters.get("inputs", {}), variables, plan)
    taking = _taking(parameters.get("input", ""), variables, plan, constants)
    spec = launch_plan_pb2.LaunchPlanSpec()
    spec.CopyFrom(plan.spec)
    spec.entity_metadata.ClearField("schedule")
    for name, literal in constants.items():
        spec.fixed_inputs.literals[name].CopyFrom(literal)
        spec.default_inputs.parameters.pop(name, None)
    condition = wire.encode_trigger(
        artifact.key,
        {taking: interface_pb2.Parameter(var=variables[taking], artifact_query=TRIGGERING)},
        {"check": check},
    )
    spec.entity_metadata.launch_conditions.CopyFrom(condition)
    return spec


def _called(plan: Launchable) -> str:
    """As the user called it: of a task, without what marks the launch plan that was made for it."""
    return plan.name.removeprefix(PREFIX)


Variables = Mapping[str, interface_pb2.Variable]


def _constants(given: Mapping[str, Any], variables: Variables, plan: Launchable) -> dict[str, Any]:
    _known(list(given), variables, plan)
    return {name: literals.from_json(value, variables[name].type, name=name) for name, value in given.items()}


def _known(names: list[str], variables: Variables, plan: Launchable) -> None:
    if unknown := sorted(set(names) - set(variables)):
        there = ", ".join(sorted(variables)) or "none"
        raise InvalidArgument(f"{_called(plan)} has no input {', '.join(unknown)}; its inputs: {there}")
    if fixed := sorted(set(names) & set(plan.spec.fixed_inputs.literals)):
        raise InvalidArgument(f"launch plan {plan.name} fixes {', '.join(fixed)}: nothing else can be given for it")


def _taking(wanted: str, variables: Variables, plan: Launchable, constants: Mapping[str, Any]) -> str:
    """The input that takes the version: the one named, or the only one that needs a value."""
    given = {*constants, *plan.spec.fixed_inputs.literals}
    if wanted:
        _known([wanted], variables, plan)
        if wanted in constants:
            raise InvalidArgument(f"'{wanted}' takes the version: leave it out of 'inputs'")
    needing = [
        name
        for name, parameter in plan.expected.parameters.items()
        if parameter.WhichOneof("behavior") in (None, "required") and name not in given
    ]
    free = sorted(set(variables) - given)
    if not wanted:
        found = needing if len(needing) == 1 else free if not needing and len(free) == 1 else []
        if not found:
            raise InvalidArgument(
                f"say which input of {_called(plan)} takes the version, 'input': {', '.join(free) or 'it has none'}"
            )
        wanted = found[0]
    if missing := sorted(set(needing) - {wanted}):
        raise InvalidArgument(f"{_called(plan)} also needs {', '.join(missing)}: give it in 'inputs', or a default")
    return wanted


def outputs_of(trigger: Trigger) -> dict[str, types_pb2.LiteralType]:
    plan = LaunchPlan.objects.select_related("workflow").get(pk=trigger.launch_plan_id)
    return {name: variable.type for name, variable in interface_of(plan).outputs.variables.items()}
