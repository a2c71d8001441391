from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console import quotas
from console.doing import with_doing
from console.pages.approvals_context import waiting_gates
from console.pages.artifacts_context import readable_versions
from console.pages.executions_context import readable_executions
from console.pages.responses import PageRequest, page, respond
from console.pages.scope import in_scope, scope_of
from scheduler.doing import Doing, State, of_all
from scheduler.models import Execution, TriggerFiring
from scheduler.phases import ExecutionPhase
from scheduler.queries import phase_counts

SHOWN = 8


@require_GET
@page
def show_home(request: PageRequest) -> HttpResponse:
    executions = readable_executions(request).filter(archived=False)
    day = executions.filter(created_at__gt=timezone.now() - timedelta(days=1))
    counts = phase_counts(day)
    doing = of_all()
    now = _counted(executions, doing)
    context = {
        "running": now[State.RUNNING] + now[State.STARTING],
        "queued": now[State.QUEUED] + now[State.WAITING],
        "succeeded": counts.get(ExecutionPhase.SUCCEEDED, 0),
        "failed": counts.get(ExecutionPhase.FAILED, 0) + counts.get(ExecutionPhase.TIMED_OUT, 0),
        "near": quotas.near(request.user, project=scope_of(request).project),
        "waiting": list(waiting_gates(request)[:SHOWN]),
        "executions": with_doing(list(executions.order_by("-created_at", "-id")[:SHOWN]), doing),
        "versions": list(readable_versions(request).order_by("-created_at", "-id")[:SHOWN]),
        "firings": recent_firings(request),
    }
    return respond(request, "home/home.html", "home/_home.html", context, live=True)


def _counted(executions: QuerySet[Execution], doing: Mapping[int, Doing]) -> Counter[State]:
    """How many of the executions do what."""
    here = executions.filter(ended_at__isnull=True).order_by().values_list("pk", flat=True)
    return Counter(doing[pk].state for pk in here if pk in doing)


def recent_firings(request: HttpRequest) -> list[TriggerFiring]:
    rows = TriggerFiring.objects.select_related("trigger__launch_plan", "version__artifact", "execution")
    heavy = ("launch_plan__spec", "launch_plan__closure", "condition")
    rows = rows.defer(
        *(f"trigger__{name}" for name in heavy),
        "version__literal",
        "version__literal_type",
        "version__card",
        "execution__spec",
        "execution__error",
    )
    return list(in_scope(request, rows, prefix="trigger__launch_plan__").order_by("-at", "-id")[:SHOWN])
