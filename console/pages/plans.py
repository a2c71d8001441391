from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from console.access_objects import access_launch_plan
from console.accounts.access import Action
from console.pages.plans_context import newest_plans, plan_context, plan_rows
from console.pages.responses import PageRequest, attempt, page, respond
from console.pages.searching import searched_context
from console.pages.triggers import trigger_context
from scheduler.actions import launch_plans
from scheduler.models import LaunchPlan
from scheduler.search import LAUNCH_PLANS


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
