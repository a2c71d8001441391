from __future__ import annotations

import json

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2
from scheduler.actions.launch import LaunchRequest, launch

from artifacts.exceptions import CausewayError, InvalidArgument
from artifacts.literals import carry, from_json
from console.access_objects import access_launch_plan, access_version_id
from console.accounts import audit
from console.accounts.access import Action
from console.pages.paging import newest_first
from console.pages.plans_context import launch_fields, newest_plans, plan_context, plan_rows
from console.pages.responses import PageRequest, attempt, page, respond
from console.pages.specs import expected_inputs
from scheduler.actions import launch_plans
from scheduler.models import Execution, LaunchPlan


@require_GET
@page
def list_plans(request: PageRequest) -> HttpResponse:
    text, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
    rows = newest_plans(request)
    if text:
        rows = rows.filter(name__icontains=text)
    if state in ("0", "1"):
        rows = rows.filter(state=int(state))
    found = newest_first(request, rows)
    context = {"page": found, "rows": plan_rows(found), "q": text, "state": state, "filtered": bool(text or state)}
    return respond(request, "plans/list.html", "plans/_list.html", context, live=True)


@require_GET
@page
def show_plan(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    plan = access_launch_plan(request.user, project, domain, name, request.GET.get("version") or None)
    return render(request, "plans/detail.html", plan_context(request, plan))


@require_POST
@page
def set_plan_state(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """Activates the chosen version, which deactivates the other; without one, deactivates the active version."""
    chosen = request.POST.get("version") or None
    plan = access_launch_plan(request.user, project, domain, name, chosen, action=Action.ACTIVATE)
    state = LaunchPlan.State.ACTIVE if chosen else LaunchPlan.State.INACTIVE
    verb = "launch_plan.activate" if chosen else "launch_plan.deactivate"

    def act() -> None:
        launch_plans.set_state(plan, state, actor=request.user.username)
        audit.record(request.user, verb, plan, project=project, domain=domain)

    attempt(request, act, f"Version {plan.version} is {'active' if chosen else 'no longer active'}.")
    return redirect("launch-plan", project=project, domain=domain, name=name)


@require_http_methods(["GET", "POST"])
@page
def launch_plan(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    version = request.GET.get("version") or None
    plan = access_launch_plan(request.user, project, domain, name, version, action=Action.LAUNCH)
    posted, errors = request.POST.dict(), {}
    if request.method == "POST":
        values, errors = _inputs(request, plan)
        started = None if errors else _launch(request, plan, values)
        if started is not None:
            return redirect("execution", project=started.project, domain=started.domain, name=started.name)
    fields = launch_fields(request, plan, posted, errors)
    return render(request, "plans/launch.html", {"plan": plan, "fields": fields, "posted": posted})


def _inputs(request: PageRequest, plan: LaunchPlan) -> tuple[dict[str, literals_pb2.Literal], dict[str, str]]:
    """What the form overrides, and what is wrong with it, by input."""
    values: dict[str, literals_pb2.Literal] = {}
    errors: dict[str, str] = {}
    for name, parameter in expected_inputs(plan).items():
        try:
            literal = _given(request, name, parameter)
        except CausewayError as error:
            errors[name] = error.message
            continue
        if literal is not None:
            values[name] = literal
    return values, errors


def _given(request: PageRequest, name: str, parameter: interface_pb2.Parameter) -> literals_pb2.Literal | None:
    text, version = request.POST.get(name, "").strip(), request.POST.get(f"{name}-version", "")
    if version.isdigit():
        chosen = access_version_id(request.user, int(version))
        return carry(literals_pb2.Literal.FromString(bytes(chosen.literal)), chosen.pk)
    is_text = parameter.var.type.WhichOneof("type") == "simple" and parameter.var.type.simple == 3
    has_default = parameter.WhichOneof("behavior") in ("default", "artifact_query", "artifact_id")
    if not text and not (is_text and parameter.WhichOneof("behavior") == "default"):
        if has_default or not parameter.required:
            return None
        raise InvalidArgument("a value is needed")
    value: object = text
    if not is_text:
        try:
            value = json.loads(text)
        except ValueError:
            value = text
    return from_json(value, parameter.var.type, name=name)


def _launch(request: PageRequest, plan: LaunchPlan, values: dict[str, literals_pb2.Literal]) -> Execution | None:
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=plan.project,
        domain=plan.domain,
        name=plan.name,
        version=plan.version,
    )
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier)
    asked = LaunchRequest(plan.project, plan.domain, "", spec, literals_pb2.LiteralMap(literals=values))
    try:
        execution = launch(asked, actor=request.user.username)
    except CausewayError as error:
        messages.error(request, error.message)
        return None
    audit.record(request.user, "execution.launch", execution.key, project=plan.project, domain=plan.domain)
    return execution
