"""What one was told, who else is told of what, and what became of telling them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from artifacts.happenings import KINDS
from artifacts.models import Happening
from console import subscribing
from console.access_objects import access_notification, access_subscription
from console.accounts import access
from console.accounts.access import Action
from console.pages.badges import CHANNEL
from console.pages.paging import newest_first, number
from console.pages.responses import PageRequest, attempt, back, page
from console.pages.scope import scope_of
from scheduler.actions.subscriptions import PATTERN, Wish, unsubscribe
from scheduler.models import Channel, Notification, Project, Subscription
from scheduler.notifications.deliver import send_again
from scheduler.notifications.kinds import patterns
from scheduler.notifications.texts import page_of, plans_of, said_of

_TEXTS = {  # with their longest values
    **{"project": 64, "domain": 64, "artifact": PATTERN, "launch_plan": PATTERN, "address": 2000, "secret": 500},
}
MOST_SHOWN = 100  # of what the bell counts


@dataclass(frozen=True)
class _Told:
    row: Notification
    sentence: str
    url: str


@require_GET
@page
def show_inbox(request: PageRequest) -> HttpResponse:
    shown = newest_first(request, subscribing.inbox(request.user))
    plans = plans_of([row.happening for row in shown.rows])
    said = [_Told(row, said_of(row.happening, plans), page_of(row.happening)) for row in shown.rows]
    alike = [list(group) for _, group in groupby(said, key=lambda told: _kind_of(told.row.happening, plans))]
    newest = shown.rows[0].pk if shown.rows and shown.is_first else 0
    return render(
        request,
        "account/inbox.html",
        {"page": shown, "said": [(first, others) for first, *others in alike], "newest": newest},
    )


def _kind_of(happening: Happening, plans: Mapping[str, str]) -> tuple[object, ...]:
    """What is alike stands together: the same thing that happened to versions of one artifact, or runs of one plan."""
    plan = plans.get(happening.execution_key, "")
    whose = happening.artifact_id or plan or happening.subject
    return happening.kind, happening.project, happening.domain, whose, happening.name


@require_GET
@page
def show_bell(request: PageRequest) -> HttpResponse:
    """Of every page's head, asked for once it is there: the pages themselves do not wait for it."""
    unread = subscribing.inbox(request.user).filter(read_at=None)[:MOST_SHOWN].count()
    return render(request, "account/_bell.html", {"unread": unread, "most": MOST_SHOWN})


@require_POST
@page
def mark_read(request: PageRequest) -> HttpResponse:
    subscribing.mark_read(request.user, until=number(request.POST.get("until", "")) or 0)
    return redirect("inbox")


@require_GET
@page
def list_subscriptions(request: PageRequest) -> HttpResponse:
    typed = {"kinds": ["execution.failed", "execution.timed_out"], "project": scope_of(request).project}
    return _show(request, typed | {"channel": Channel.CONSOLE})


def _show(request: PageRequest, typed: dict[str, Any], problem: str = "") -> HttpResponse:
    known = access.known_projects(request.user)
    projects = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    names = list(projects.values_list("identifier", flat=True))
    context = {
        "page": newest_first(request, _in_scope(request, subscribing.visible(request.user))),
        "projects": names if known is None else [name for name in names if name in known],
        "domains": settings.CAUSEWAY_DOMAINS,
        "subjects": _subjects(),
        "channels": [(channel, CHANNEL[channel]) for channel in Channel],
        "typed": typed,
        "problem": problem,
    }
    return render(request, "account/notifications.html", context, status=400 if problem else 200)


def _in_scope(request: PageRequest, rows: QuerySet[Subscription]) -> QuerySet[Subscription]:
    """Those of every project are of the scope's too."""
    scope = scope_of(request)
    rows = rows.filter(project__in=("", scope.project)) if scope.project else rows
    return rows.filter(domain__in=("", scope.domain)) if scope.domain else rows


def _subjects() -> list[tuple[str, list[tuple[str, str]]]]:
    """Kinds of happenings with their words, by what they are about."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, kind in sorted(KINDS.items()):
        found.setdefault(name.partition(".")[0], []).append((name, kind.words))
    return list(found.items())


@require_POST
@page
def create_subscription(request: PageRequest) -> HttpResponse:
    """What was typed stays in the form when it is refused."""
    typed: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in _TEXTS}
    typed |= {"kinds": request.POST.getlist("kinds"), "channel": request.POST.get("channel", "")}
    try:
        subscribing.make(request.user, _read(typed))
    except InvalidArgument as error:
        return _show(request, typed | {"secret": ""}, error.message)
    messages.success(request, "Told from now on.")
    return redirect("notifications")


def _read(typed: dict[str, Any]) -> Wish:
    """InvalidArgument for what the form does not offer."""
    for name, most in _TEXTS.items():
        if len(typed[name]) > most:
            raise InvalidArgument(f"{name}: at most {most} characters")
    if not set(typed["kinds"]) <= {*KINDS, *patterns()} or not typed["kinds"]:
        raise InvalidArgument("kinds: choose one or more")
    if typed["channel"] not in Channel.values:
        raise InvalidArgument(f"how: one of {', '.join(Channel.values)}")
    return Wish(**typed | {"channel": Channel(typed["channel"])})


@require_GET
@page
def show_log(request: PageRequest, subscription_id: int) -> HttpResponse:
    """What was sent by a subscription, attempt by attempt."""
    found = access_subscription(request.user, subscription_id)
    shown = newest_first(request, subscribing.log_of(request.user, found))
    plans = plans_of([row.happening for row in shown.rows])
    said = [(row, said_of(row.happening, plans), page_of(row.happening)) for row in shown.rows]
    return render(request, "account/deliveries.html", {"subscription": found, "page": shown, "said": said})


@require_POST
@page
def remove_subscription(request: PageRequest, subscription_id: int) -> HttpResponse:
    found = access_subscription(request.user, subscription_id)
    attempt(request, lambda: unsubscribe(found, actor=request.user.username), "Nobody is told by it any more.")
    return redirect("notifications")


@require_POST
@page
def send_notification_again(request: PageRequest, notification_id: int) -> HttpResponse:
    found: Notification = access_notification(request.user, notification_id, action=Action.LAUNCH)
    attempt(request, lambda: send_again(found, actor=request.user.username), "It is sent again.")
    return back(request, page_of(found.happening).removeprefix(settings.CAUSEWAY_PUBLIC_URL))
