"""Reactions: the ledger over all triggers, what a version triggers, and a trigger's switches."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_firing, access_trigger, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.pages.artifacts_context import version_context
from console.pages.paging import newest_first, number
from console.pages.reacting import of_last_hour
from console.pages.responses import PageRequest, attempt, back, is_fragment, page, respond
from console.pages.scope import in_scope
from console.pages.trigger_charts import firings_a_minute, latencies
from scheduler.authority import Authority
from scheduler.models import Backlog, FiringOutcome, LaunchPlan, OnLimit, Trigger, TriggerFiring
from scheduler.triggers.evaluate import retry_by_hand
from scheduler.triggers.limits import read_limits
from scheduler.triggers.preview import preview
from scheduler.triggers.switch import pause, reset_limits, resume, set_limits
from scheduler.vouching import lacks, vouching

_HEAVY = (
    "trigger__condition",
    "trigger__launch_plan__spec",
    "trigger__launch_plan__closure",
    "version__literal",
    "version__literal_type",
    "version__card",
    "execution__spec",
    "execution__error",
)

_HEAVY_OF_TRIGGER = ("condition", "launch_plan__spec", "launch_plan__closure")


@require_GET
@page
def list_firings(request: PageRequest) -> HttpResponse:
    """The ledger, newest first, by outcome and part of a launch plan's or artifact's name."""
    outcome, plan, artifact = (request.GET.get(key, "").strip() for key in ("outcome", "plan", "artifact"))
    rows = TriggerFiring.objects.select_related("trigger__launch_plan", "version__artifact", "execution").defer(*_HEAVY)
    rows = in_scope(request, rows, prefix="trigger__launch_plan__")
    if outcome in FiringOutcome.values:
        rows = rows.filter(outcome=outcome)
    if plan:
        rows = rows.filter(trigger__launch_plan__name__icontains=plan)
    if artifact:
        rows = rows.filter(version__artifact__name__icontains=artifact)
    found = newest_first(request, rows, by="at")
    triggers = in_scope(
        request, Trigger.objects.select_related("launch_plan").defer(*_HEAVY_OF_TRIGGER), prefix="launch_plan__"
    )
    is_first, now = found.is_first and not is_fragment(request), timezone.now()
    context = {
        "reacting": of_last_hour(rows, triggers, now=now) if is_first else [],
        "minutes": firings_a_minute(rows, now) if is_first else None,
        "latencies": latencies(rows.filter(outcome=FiringOutcome.FIRED)) if is_first else None,
        "page": found,
        "firings": found.rows,
        "outcomes": FiringOutcome.choices,
        "outcome": outcome,
        "plan": plan,
        "artifact_text": artifact,
    }
    return respond(request, "triggers/list.html", "triggers/_list.html", context, live=True)


@require_GET
@page
def show_version_triggers(request: PageRequest, version_id: int) -> HttpResponse:
    """What came of the version at each trigger, and what it would trigger if it were published now."""
    version = access_version_id(request.user, version_id)
    visible = access.readable(
        request.user, project="trigger__launch_plan__project", domain="trigger__launch_plan__domain"
    )
    firings = TriggerFiring.objects.filter(visible, version=version).order_by("-at", "-id")
    firings = firings.select_related("trigger__launch_plan", "version__artifact", "execution").defer(*_HEAVY)
    previews = [
        one
        for one in preview(version, reader=Authority(request.user.username), inactive=True)
        if access.can(request.user, Action.READ, one.trigger.launch_plan.project, one.trigger.launch_plan.domain)
    ]
    context = {"tab": "triggers", "firings": list(firings[:200]), "previews": previews}
    return render(request, "triggers/version.html", version_context(version) | context)


def trigger_context(plan: LaunchPlan) -> dict[str, Any]:
    """Of a launch plan's page: what its trigger watches, its limits, and what waits."""
    trigger = Trigger.objects.filter(launch_plan=plan).first()
    if trigger is None:
        return {}
    sources = list(trigger.sources.all())
    places = [(source.project, source.domain) for source in sources]
    lacking = lacks(vouching(trigger), place=(plan.project, plan.domain), sources=places)
    counts = trigger.firings.values_list("outcome").annotate(count=Count("pk")).order_by("outcome")
    return {
        "sources": sources,
        "stopped": lacking if trigger.active else "",
        "counts": [(FiringOutcome(outcome), count) for outcome, count in counts],
        "queued": trigger.firings.filter(queued=True).count(),
        "on_limits": OnLimit.choices,
    }


SWITCHES = (*Backlog.values, "resume", "limits", "reset")  # what the buttons of a trigger say


@require_POST
@page
def switch_trigger(request: PageRequest, trigger_id: int) -> HttpResponse:
    """Pause (keeping or dropping the backlog), resume, set limits or give the program's back."""
    trigger = access_trigger(request.user, trigger_id, action=Action.ACTIVATE)
    plan, what, actor = trigger.launch_plan, request.POST.get("do", ""), request.user.username
    if what not in SWITCHES:
        raise InvalidArgument(f"do: one of {', '.join(SWITCHES)}, not {what[:40]!r}")

    def act() -> None:
        if what in Backlog.values:
            pause(trigger_id, backlog=Backlog(what), actor=actor)
        elif what == "resume":
            resume(trigger_id, actor=actor)
        elif what == "reset":
            reset_limits(trigger_id, actor=actor)
        else:
            set_limits(trigger_id, read_limits(_limits_of(request)), actor=actor)

    attempt(request, act, "The trigger was changed.")
    address = reverse("launch-plan", args=[plan.project, plan.domain, plan.name])
    return back(request, f"{address}?{urlencode({'version': plan.version})}")


def _limits_of(request: PageRequest) -> dict[str, Any]:
    """Empty fields set no limit; what is no number is refused by the same rule as everywhere."""
    found: dict[str, Any] = {"on_limit": request.POST.get("on_limit", "queue")}
    for name in ("max_concurrent", "rate_count", "rate_seconds"):
        text = request.POST.get(name, "").strip()
        if text:
            found[name] = _number(text)
    return found | {"newest_only": "newest_only" in request.POST}


def _number(text: str) -> int | float | str:
    """The text itself where it is no number: whoever reads the limits says so."""
    if (whole := number(text)) is not None:
        return whole
    try:
        return float(text)
    except ValueError:
        return text


@require_POST
@page
def retry(request: PageRequest, firing_id: int) -> HttpResponse:
    """Launch after all."""
    firing = access_firing(request.user, firing_id, action=Action.LAUNCH)
    attempt(
        request,
        lambda: retry_by_hand(firing_id, actor=request.user.username),
        "Tried again: see what came of it in the ledger.",
    )
    return redirect("version-triggers", version_id=firing.version_id)
