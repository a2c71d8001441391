"""Who is told of executions: the subscriptions of the projects one administers, and sending one notification again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument, NotFound
from console.access_objects import access_notification, access_subscription
from console.accounts import access
from console.accounts.access import Action
from console.pages.badges import CHANNEL, SUBJECT
from console.pages.paging import newest_first
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import in_scope, scope_of
from scheduler.actions.subscriptions import subscribe, unsubscribe
from scheduler.models import Channel, Project, Subject, Subscription
from scheduler.notifications.deliver import send_again

_TEXTS = {"project": 64, "domain": 64, "launch_plan": 255, "address": 2000, "secret": 500}  # with their longest values


@require_GET
@page
def list_subscriptions(request: PageRequest) -> HttpResponse:
    return _show(request, {"subjects": [Subject.FAILED, Subject.TIMED_OUT], "project": scope_of(request).project})


def _show(request: PageRequest, typed: dict[str, Any], problem: str = "") -> HttpResponse:
    """Addresses can be secrets: only those of projects (or of the domains) that one administers."""
    administered = access.readable(request.user, action=Action.ADMIN)
    projects = [
        row.identifier
        for row in Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
        if any(access.can(request.user, Action.ADMIN, row.identifier, each) for each in settings.CAUSEWAY_DOMAINS)
    ]
    context = {
        "page": newest_first(request, in_scope(request, Subscription.objects.filter(administered))),
        "projects": projects,
        "domains": settings.CAUSEWAY_DOMAINS,
        "subjects": [(subject, SUBJECT[subject]) for subject in Subject],
        "channels": [(channel, CHANNEL[channel]) for channel in Channel],
        "typed": typed,
        "problem": problem,
    }
    return render(request, "account/notifications.html", context, status=400 if problem else 200)


@require_POST
@page
def create_subscription(request: PageRequest) -> HttpResponse:
    """What was typed stays in the form when it is refused."""
    typed: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in _TEXTS}
    typed |= {"subjects": request.POST.getlist("subjects"), "channel": request.POST.get("channel", "")}
    access.require(request.user, Action.ADMIN, typed["project"], typed["domain"])
    try:
        subscribe(**_read(typed), actor=request.user.username)
    except InvalidArgument as error:
        return _show(request, typed | {"secret": ""}, error.message)
    messages.success(request, "Told from now on.")
    return redirect("notifications")


def _read(typed: dict[str, Any]) -> dict[str, Any]:
    """InvalidArgument for what the form does not offer."""
    for name, most in _TEXTS.items():
        if len(typed[name]) > most:
            raise InvalidArgument(f"{name}: at most {most} characters")
    if not Project.objects.filter(identifier=typed["project"]).exists():
        raise InvalidArgument("project: choose one")
    if typed["domain"] and typed["domain"] not in settings.CAUSEWAY_DOMAINS:
        raise InvalidArgument(f"domain: one of {', '.join(settings.CAUSEWAY_DOMAINS)}, or none")
    if not typed["subjects"] or not set(typed["subjects"]) <= set(Subject.values):
        raise InvalidArgument(f"what: one or more of {', '.join(Subject.values)}")
    if typed["channel"] not in Channel.values:
        raise InvalidArgument(f"how: one of {', '.join(Channel.values)}")
    read = {"channel": Channel(typed["channel"]), "subjects": [Subject(each) for each in typed["subjects"]]}
    return typed | read


@require_POST
@page
def remove_subscription(request: PageRequest, subscription_id: int) -> HttpResponse:
    """What waits to be sent is still sent."""
    found = access_subscription(request.user, subscription_id)
    attempt(request, lambda: unsubscribe(found, actor=request.user.username), "Nobody is told by it any more.")
    return redirect("notifications")


@require_POST
@page
def send_notification_again(request: PageRequest, notification_id: int) -> HttpResponse:
    found = access_notification(request.user, notification_id, action=Action.LAUNCH)
    execution = found.execution
    if execution is None:
        raise NotFound(f"no notification {found.pk} of an execution")
    attempt(request, lambda: send_again(found, actor=request.user.username), "It is sent again.")
    return redirect("execution-events", project=execution.project, domain=execution.domain, name=execution.name)
