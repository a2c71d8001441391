from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console import quotas
from console.doing import with_doing
from console.pages import home_context as home
from console.pages.executions_context import readable_executions
from console.pages.responses import PageRequest, is_fragment, page, respond
from console.pages.scope import scope_of
from scheduler.doing import State
from scheduler.doing.everywhere import counts
from scheduler.phases import ExecutionPhase
from scheduler.queries import phase_counts


@require_GET
@page
def show_home(request: PageRequest) -> HttpResponse:
    now = timezone.now()
    executions = readable_executions(request).filter(archived=False)
    ended = phase_counts(executions.filter(created_at__gt=now - timedelta(days=1)))
    doings = counts(executions)
    runs = home.runs(request)
    with_doing([one.newest for one in runs])
    limits = quotas.shown(request.user, project=scope_of(request).project)
    context = {
        "running": doings[State.RUNNING] + doings[State.STARTING],
        "queued": doings[State.QUEUED] + doings[State.WAITING],
        "succeeded": ended.get(ExecutionPhase.SUCCEEDED, 0),
        "failed": ended.get(ExecutionPhase.FAILED, 0) + ended.get(ExecutionPhase.TIMED_OUT, 0),
        "near": quotas.near(limits),
        "asks": home.asks(request),
        "failures": home.failed(request, now),
        "storms": home.blowing(request, now),
        "runs": runs,
        "published": home.published(request),
        # A poll leaves the drawing alone: it reads an entry of an index for each execution of the week.
        "week": None if is_fragment(request) else home.week(request, now),
        "quota_bars": home.quota_bars(limits),
        **home.due(request, now),
    }
    return respond(request, "home/home.html", "home/_home.html", context, live=True)
