"""The page that launches: a launch plan, a workflow by the plan of its name, a task, or an execution once more."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2

from artifacts.exceptions import CausewayError, InvalidArgument
from console.access_objects import access_execution, access_launch_plan, access_task
from console.accounts import access
from console.accounts.access import Action
from console.pages import launch_settings
from console.pages.launch_calls import Call
from console.pages.launch_form import LaunchForm
from console.pages.launch_settings import Settings, read_settings
from console.pages.responses import PageRequest, is_fragment, page
from scheduler.actions.launch import LaunchRequest, launch, relaunch
from scheduler.models import Execution, LaunchPlan, Task
from scheduler.shell import data

Entity = LaunchPlan | Task


@require_http_methods(["GET", "POST"])
@page
def launch_plan(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """The launch form; with `?again=` that of an execution to be launched once more, filled in with its inputs.

    htmx asks with `?field=` for what the query of one input finds, given what was typed so far, and with `?pick=` for
    the versions that one input takes and a search finds.
    """
    # The form says which version it shows: another one may have been activated since.
    version = request.POST.get("version") or request.GET.get("version") or None
    plan = access_launch_plan(request.user, project, domain, name, version, action=Action.LAUNCH)
    again = _execution_of(request, plan, request.GET["again"]) if request.GET.get("again") else None
    return _answer(request, plan, again)


@require_http_methods(["GET", "POST"])
@page
def launch_task(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """The same for a task alone."""
    version = request.POST.get("version") or request.GET.get("version") or None
    return _answer(request, access_task(request.user, project, domain, name, version, action=Action.LAUNCH), None)


def _answer(request: PageRequest, entity: Entity, again: Execution | None) -> HttpResponse:
    earlier = {} if again is None else dict(data.read(again.inputs_uri).literals)
    form = LaunchForm(request, entity, request.POST if request.method == "POST" else request.GET, earlier)
    if is_fragment(request) and "field" in request.GET:
        return render(request, "plans/_resolved.html", {"field": form.field(request.GET["field"])})
    if is_fragment(request) and "pick" in request.GET:
        return render(request, "plans/_picked.html", _picked(request, form, request.GET["pick"]))
    settings = read_settings(form.data)
    only_shown = bool(request.POST.get("show"))
    if request.method == "POST" and not form.errors and not only_shown:
        started = _launch(request, form, settings, again)
        if started is not None:
            return redirect("execution", project=started.project, domain=started.domain, name=started.name)
    call = Call(entity, form.typed, form.overrides, settings)
    context = {
        "plan": entity,
        "is_task": isinstance(entity, Task),
        "fields": form.fields(),
        "again": again,
        "settings": settings,
        "may_publish": access.can(request.user, Action.PUBLISH, entity.project, entity.domain),
        "call": call if only_shown else None,
        "call_rest": call.rest(django_settings.CAUSEWAY_PUBLIC_URL) if only_shown else "",
    }
    return render(request, "plans/launch.html", context)


def _picked(request: PageRequest, form: LaunchForm, name: str) -> dict[str, Any]:
    found, problem = form.fitting(name, request.GET.get(f"in.{name}.find", "").strip())
    return {"field": form.field(name), "found": found, "problem": problem}


def _execution_of(request: PageRequest, plan: LaunchPlan, name: str) -> Execution:
    """An execution that ran this very version of the launch plan."""
    execution = access_execution(request.user, plan.project, plan.domain, name)
    if execution.launch_plan_id != plan.pk:
        raise InvalidArgument(f"execution {execution.key} did not run version {plan.version} of {plan.name}")
    return execution


def _launch(request: PageRequest, form: LaunchForm, settings: Settings, again: Execution | None) -> Execution | None:
    """None: it was refused; a message says why."""
    inputs = literals_pb2.LiteralMap(literals=form.values)
    actor, entity = request.user.username, form.plan
    try:
        with transaction.atomic():
            if again is not None:
                return relaunch(again, inputs=inputs, newest=True, resolved=form.resolved, actor=actor)
            spec = _spec(entity)
            launch_settings.apply(settings, spec)
            asked = LaunchRequest(entity.project, entity.domain, settings.name, spec, inputs)
            return launch(asked, resolved=form.resolved, actor=actor)
    except CausewayError as error:
        messages.error(request, error.message)
        return None


def _spec(entity: Entity) -> execution_pb2.ExecutionSpec:
    kind = identifier_pb2.TASK if isinstance(entity, Task) else identifier_pb2.LAUNCH_PLAN
    parts = {part: getattr(entity, part) for part in ("project", "domain", "name", "version")}
    return execution_pb2.ExecutionSpec(launch_plan=identifier_pb2.Identifier(resource_type=kind, **parts))
