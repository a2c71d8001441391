from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2

from artifacts.exceptions import CausewayError, InvalidArgument
from console.access_objects import access_execution, access_launch_plan
from console.accounts.access import Action
from console.pages.launch_form import LaunchForm
from console.pages.plans_context import newest_plans, plan_context, plan_rows
from console.pages.responses import PageRequest, attempt, is_fragment, page, respond
from console.pages.searching import searched_context
from console.pages.triggers import trigger_context
from scheduler.actions import launch_plans
from scheduler.actions.launch import LaunchRequest, launch, relaunch
from scheduler.models import Execution, LaunchPlan
from scheduler.search import LAUNCH_PLANS
from scheduler.shell import data


@require_GET
@page
def list_plans(request: PageRequest) -> HttpResponse:
    context = searched_context(request, newest_plans(request), LAUNCH_PLANS)
    context["rows"] = plan_rows(request, context["page"])
    return respond(request, "plans/list.html", "plans/_list.html", context, live=True)


@require_GET
@page
def show_plan(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    plan = access_launch_plan(request.user, project, domain, name, request.GET.get("version") or None)
    return render(request, "plans/detail.html", plan_context(request, plan) | trigger_context(plan))


@require_POST
@page
def set_plan_state(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """Activates the chosen version, which deactivates the other; without one, deactivates the active version."""
    chosen = request.POST.get("version") or None
    plan = access_launch_plan(request.user, project, domain, name, chosen, action=Action.ACTIVATE)
    state = LaunchPlan.State.ACTIVE if chosen else LaunchPlan.State.INACTIVE

    def act() -> None:
        launch_plans.set_state(plan, state, actor=request.user.username)

    attempt(request, act, f"Version {plan.version} is {'active' if chosen else 'no longer active'}.")
    return redirect("launch-plan", project=project, domain=domain, name=name)


@require_http_methods(["GET", "POST"])
@page
def launch_plan(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """The launch form; with `?again=` that of an execution to be launched once more, filled in with its inputs.

    htmx asks with `?field=` for what the query of one input finds, given what was typed so far.
    """
    # The form says which version it shows: another one may have been activated since.
    version = request.POST.get("version") or request.GET.get("version") or None
    plan = access_launch_plan(request.user, project, domain, name, version, action=Action.LAUNCH)
    again = _execution_of(request, plan, request.GET["again"]) if request.GET.get("again") else None
    earlier = {} if again is None else dict(data.read(again.inputs_uri).literals)
    form = LaunchForm(request, plan, request.POST if request.method == "POST" else request.GET, earlier)
    if is_fragment(request) and "field" in request.GET:
        return render(request, "plans/_resolved.html", {"field": form.field(request.GET["field"])})
    if request.method == "POST" and not form.errors:
        started = _launch(request, form, again)
        if started is not None:
            return redirect("execution", project=started.project, domain=started.domain, name=started.name)
    return render(request, "plans/launch.html", {"plan": plan, "fields": form.fields(), "again": again})


def _execution_of(request: PageRequest, plan: LaunchPlan, name: str) -> Execution:
    """An execution that ran this very version of the launch plan."""
    execution = access_execution(request.user, plan.project, plan.domain, name)
    if execution.launch_plan_id != plan.pk:
        raise InvalidArgument(f"execution {execution.key} did not run version {plan.version} of {plan.name}")
    return execution


def _launch(request: PageRequest, form: LaunchForm, again: Execution | None) -> Execution | None:
    plan = form.plan
    identifier = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=plan.project,
        domain=plan.domain,
        name=plan.name,
        version=plan.version,
    )
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier)
    inputs = literals_pb2.LiteralMap(literals=form.values)
    actor = request.user.username
    try:
        with transaction.atomic():
            if again is not None:
                execution = relaunch(again, inputs=inputs, newest=True, resolved=form.resolved, actor=actor)
            else:
                asked = LaunchRequest(plan.project, plan.domain, "", spec, inputs)
                execution = launch(asked, resolved=form.resolved, actor=actor)
    except CausewayError as error:
        messages.error(request, error.message)
        return None
    return execution
