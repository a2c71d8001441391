from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console import subscribing
from console.access_objects import access_execution
from console.accounts.access import Action
from console.doing import with_doing
from console.pages.execution_graph import graph_context
from console.pages.executions_context import (
    artifacts_of,
    events_of,
    head_context,
    nodes_context,
    readable_executions,
)
from console.pages.failure_groups import failures_of
from console.pages.failures import with_failures
from console.pages.responses import PageRequest, attempt, page, respond
from console.pages.searching import searched_context
from console.pages.specs import workflow_interface
from console.pages.timeline import timeline_context
from console.pages.typed_values import form_text
from console.pages.values import read_values
from scheduler.actions import executions, launch
from scheduler.actions.gates import gates_ahead
from scheduler.models import Execution
from scheduler.phases import EXECUTION_TERMINAL
from scheduler.search import EXECUTIONS

NOTIFICATIONS_SHOWN = 50
SIGNALS_SHOWN = 20
LONGEST_CAUSE = 500


@require_GET
@page
def list_executions(request: PageRequest) -> HttpResponse:
    context = searched_context(request, readable_executions(request).filter(archived=False), EXECUTIONS)
    with_doing(context["page"].rows)
    with_failures(context["page"].rows)
    context["is_live"] = any(row.phase not in EXECUTION_TERMINAL for row in context["page"].rows)
    return respond(request, "executions/list.html", "executions/_list.html", context, live=True)


def _shown(request: PageRequest, execution: Execution, tab: str) -> dict[str, object]:
    return head_context(request, execution) | {"tab": tab}


@require_GET
@page
def show_execution(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    context = _shown(request, execution, "nodes")
    context |= nodes_context(execution, context["open_gates"], request.GET.get("after", ""))  # type: ignore[arg-type]
    live = execution.phase not in EXECUTION_TERMINAL
    context["failures"] = failures_of(execution)
    context["ahead"] = gates_ahead(execution)[:SIGNALS_SHOWN] if live else []
    return respond(request, "executions/nodes.html", "executions/_live.html", context, live=live)


@require_GET
@page
def show_timeline(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    context = _shown(request, execution, "timeline")
    context |= nodes_context(execution, context["open_gates"], request.GET.get("after", ""))  # type: ignore[arg-type]
    are_all = not (context["more_nodes"] or context["first_nodes"])
    context |= timeline_context(execution, context["nodes"], are_all=are_all)  # type: ignore[arg-type]
    live = execution.phase not in EXECUTION_TERMINAL
    return respond(request, "executions/timeline.html", "executions/_live.html", context, live=live)


@require_GET
@page
def show_graph(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    context = _shown(request, execution, "graph")
    nodes = nodes_context(execution, context["open_gates"])  # type: ignore[arg-type]
    context |= nodes | graph_context(request, execution, nodes["titles"], nodes["nodes"])
    live = execution.phase not in EXECUTION_TERMINAL
    return respond(request, "executions/graph.html", "executions/_live.html", context, live=live)


@require_GET
@page
def show_data(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    interface = workflow_interface(execution.workflow)
    context = _shown(request, execution, "data") | artifacts_of(request, execution)
    context["inputs"] = read_values(request, execution.inputs_uri, interface.inputs.variables)
    context["outputs"] = read_values(request, execution.outputs_uri, interface.outputs.variables)
    live = execution.phase not in EXECUTION_TERMINAL
    return respond(request, "executions/data.html", "executions/_live.html", context, live=live)


@require_GET
@page
def show_events(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    told = subscribing.told_of(request.user, execution).order_by("-id")[:NOTIFICATIONS_SHOWN]
    context = _shown(request, execution, "events") | {"events": events_of(execution), "told": told}
    live = execution.phase not in EXECUTION_TERMINAL
    return respond(request, "executions/events.html", "executions/_live.html", context, live=live)


def _to_page(execution: Execution) -> HttpResponse:
    return redirect("execution", project=execution.project, domain=execution.domain, name=execution.name)


@require_POST
@page
def abort(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name, action=Action.LAUNCH)
    cause = form_text(request.POST, "cause").strip()

    def act() -> None:
        if not cause:
            raise InvalidArgument("say why it is aborted: whoever waits for it reads that")
        if len(cause) > LONGEST_CAUSE:
            raise InvalidArgument(f"a cause has at most {LONGEST_CAUSE} characters, not {len(cause)}")
        executions.abort(execution, cause=cause, actor=request.user.username)

    attempt(request, act, "Abort requested.")
    return _to_page(execution)


def _start_again(
    request: PageRequest, key: tuple[str, str, str], start: Callable[[Execution], Execution], *, said: str
) -> HttpResponse:
    """Start another execution from this one and go to its page, or back to this one's when it is refused."""
    execution = access_execution(request.user, *key, action=Action.LAUNCH)
    started: list[Execution] = []

    def act() -> None:
        started.append(start(execution))

    attempt(request, act, said)
    return _to_page(started[0] if started else execution)


@require_POST
@page
def relaunch(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    def start(execution: Execution) -> Execution:
        return launch.relaunch(execution, actor=request.user.username)

    said = "Relaunched with the same inputs."
    return _start_again(request, (project, domain, name), start, said=said)


@require_POST
@page
def recover(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    def start(execution: Execution) -> Execution:
        return launch.recover(execution, actor=request.user.username)

    said = "Recovering: what succeeded is taken over, the rest runs again."
    return _start_again(request, (project, domain, name), start, said=said)
