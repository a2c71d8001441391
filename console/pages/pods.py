"""The pod of an attempt: what it waits for, where it is, its events while it lives, and what it waited for before."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from artifacts.exceptions import NotFound
from console.access_objects import access_execution, access_node
from console.pages import badges
from console.pages.responses import PageRequest, is_fragment, page
from console.pods import history_of, look_at, pod_of, waiting_of
from scheduler.models import TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL


def pod_context(row: TaskExecution, *, look: bool = False) -> dict[str, Any]:
    """What executions/_pod.html shows; without `pod` where the attempt is none. `look`: ask the cluster, too."""
    pod = pod_of(row)
    if pod is None:
        return {}
    seen, problem = look_at(row) if look else (None, "")
    return {
        "pod": pod,
        "pod_attempt": row,
        "pod_is_live": row.phase not in ATTEMPT_TERMINAL,
        "pod_waiting": waiting_of(row),
        "pod_history": [(badges.ATTEMPT[past.phase], past) for past in history_of(row)],
        "looked": look,
        "seen": seen,
        "seen_problem": problem,
    }


@require_GET
@never_cache
@page
def show_pod(request: PageRequest, project: str, domain: str, name: str, node_id: str, attempt_id: int) -> HttpResponse:
    """A page of its own; htmx gets the part of it that changes."""
    execution = access_execution(request.user, project, domain, name)
    node = access_node(execution, node_id)
    row = node.task_executions.filter(pk=attempt_id).first()
    context = pod_context(row, look=True) if row is not None else {}
    if row is None or not context:
        raise NotFound(f"no pod of attempt {attempt_id} of node {node_id}")
    context |= {"execution": execution, "node": node, "attempt": row, "number": row.attempt + 1}
    if is_fragment(request):
        return render(request, "executions/_pod.html", context)
    return render(request, "executions/pod.html", context)
