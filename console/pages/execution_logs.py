"""The logs of all nodes of an execution in one stream, its decks, and what its attempts used."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from console.access_objects import access_execution
from console.log_lines import ATTEMPTS, LEVELS, TAIL, Asked, nodes_with_logs, stream, whole
from console.pages.badges import Badge
from console.pages.executions_context import decks_of, head_context
from console.pages.log_rows import rows_of
from console.pages.paging import number
from console.pages.resources_used import resources_context
from console.pages.responses import PageRequest, page, respond
from scheduler.models import Execution
from scheduler.phases import EXECUTION_TERMINAL

TONES = {
    "debug": Badge("debug"),
    "info": Badge("info", "info"),
    "warning": Badge("warning", "warn"),
    "error": Badge("error", "bad"),
}


def _asked(request: PageRequest) -> Asked:
    given = {name: request.GET.get(name, "").strip() for name in ("node", "q", "level", "attempt")}
    return Asked(given["node"], number(given["attempt"]), given["q"], given["level"])


@require_GET
@page
def show_all_logs(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """`?q=`, `?level=`, `?node=` choose lines; `?wrap=no` and `?times=no` how they are shown."""
    execution = access_execution(request.user, project, domain, name)
    asked = _asked(request)
    found, stamped = stream(execution, asked), request.GET.get("times") != "no"
    context = head_context(request, execution) | {
        "tab": "logs",
        "asked": asked,
        "lines": rows_of(execution, [(line, TONES.get(line.level)) for line in found.lines], stamped=stamped),
        "stream": found,
        "log_nodes": nodes_with_logs(execution),
        "levels": LEVELS,
        "wraps": request.GET.get("wrap") != "no",
        "stamped": stamped,
        "read_of_each": TAIL,
        "most_attempts": ATTEMPTS,
    }
    return _respond(request, execution, "logs_all", context)


@require_GET
@page
def download_logs(request: PageRequest, project: str, domain: str, name: str) -> HttpResponseBase:
    """All of them, or those of `?node=`, whole and one after another."""
    execution = access_execution(request.user, project, domain, name)
    response = StreamingHttpResponse(whole(execution, _asked(request)), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, f"{execution.name}.log") or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_GET
@page
def show_decks(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    """Those of all nodes; `?node=` is shown, else the first."""
    execution = access_execution(request.user, project, domain, name)
    decks = decks_of(execution)
    wanted = request.GET.get("node", "")
    shown = next((deck for deck in decks if deck.node_id == wanted), decks[0] if decks else None)
    context = head_context(request, execution) | {"tab": "decks", "decks": decks, "shown_deck": shown}
    return _respond(request, execution, "decks", context)


@require_GET
@page
def show_resources(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    context = head_context(request, execution) | {"tab": "resources"} | resources_context(execution)
    return _respond(request, execution, "resources", context)


def _respond(request: PageRequest, execution: Execution, template: str, context: dict[str, object]) -> HttpResponse:
    live = execution.phase not in EXECUTION_TERMINAL
    return respond(request, f"executions/{template}.html", "executions/_live.html", context, live=live)
