from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.pages.approvals_context import waiting_gates
from console.pages.artifacts_context import readable_versions
from console.pages.executions_context import readable_executions
from console.pages.responses import PageRequest, page, respond
from console.pages.scope import in_scope
from scheduler.models import TriggerFiring
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.queries import phase_counts

SHOWN = 8


@require_GET
@page
def show_home(request: PageRequest) -> HttpResponse:
    executions = readable_executions(request).filter(archived=False)
    day = executions.filter(created_at__gt=timezone.now() - timedelta(days=1))
    counts = phase_counts(day)
    context = {
        "active": sum(number for phase, number in counts.items() if phase not in EXECUTION_TERMINAL),
        "succeeded": counts.get(ExecutionPhase.SUCCEEDED, 0),
        "failed": counts.get(ExecutionPhase.FAILED, 0) + counts.get(ExecutionPhase.TIMED_OUT, 0),
        "waiting": list(waiting_gates(request)[:SHOWN]),
        "executions": list(executions.order_by("-created_at", "-id")[:SHOWN]),
        "versions": list(readable_versions(request).order_by("-created_at", "-id")[:SHOWN]),
        "firings": recent_firings(request),
    }
    return respond(request, "home/home.html", "home/_home.html", context, live=True)


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
