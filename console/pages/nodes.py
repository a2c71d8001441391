"""Pages of one node of an execution: attempts, inputs, outputs, logs, deck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from artifacts.exceptions import CausewayError, NotFound
from console.access_objects import access_execution, access_node
from console.accounts import access
from console.accounts.access import Action
from console.doing import attempts_with_doing
from console.jobs import jobs_of, links_of
from console.logs import is_growing, read_log_of
from console.pages import badges
from console.pages.badges import Badge
from console.pages.executions_context import is_node_live, node_badge
from console.pages.failures import Failure, describe_error
from console.pages.map_items import items_context
from console.pages.node_paths import spec_of
from console.pages.paging import number
from console.pages.pods import pod_context
from console.pages.replicas import replicas_context
from console.pages.responses import PageRequest, is_fragment, page, respond
from console.pages.specs import SpecNode
from console.pages.values import read_values
from console.pods import Waiting, waiting_of
from console.sandbox import sandboxed_deck
from scheduler import doing
from scheduler.attempts import replicas
from scheduler.doing import Doing
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.links import by_name, log_links
from scheduler.models import ConnectorJob, NodeExecution, NodeKind, Task, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL
from scheduler.quotas.why import Why

LOG_CHUNK = 200_000  # bytes sent at once
ATTEMPTS_SHOWN = 60


@dataclass(frozen=True)
class AttemptRow:
    attempt: TaskExecution
    waiting: Waiting | None
    number: int
    failure: Failure | None
    is_live: bool
    links: Sequence[tuple[str, str]]  # its log in other systems
    why: Why | None = None  # it is not claimed, or has no room
    job: ConnectorJob | None = None  # at a connector


@dataclass(frozen=True)
class Attempts:
    """A page of them: of a map by item, else newest first."""

    rows: list[AttemptRow]
    more: str  # query string of the next page, empty on the last
    phase: int | None  # only these are shown
    phases: list[tuple[int, Badge, int]]  # of a map: phase, and how many attempts are in it


def _attempts(request: PageRequest, node: NodeExecution) -> Attempts:
    phase, item = _number(request.GET.get("phase", "")), _number(request.GET.get("item", ""))
    is_map = node.kind == NodeKind.ARRAY
    rows = node.task_executions.defer("command")
    counts = rows.values_list("phase").annotate(count=Count("pk")).order_by("phase") if is_map else []
    phases = [(found, badges.ATTEMPT[found], count) for found, count in counts]
    rows = rows if phase is None else rows.filter(phase=phase)
    rows = rows if item is None else rows.filter(index__gte=item)
    ordered = rows.order_by("index", "-attempt") if is_map else rows.order_by("-attempt")
    found = list(ordered[: ATTEMPTS_SHOWN + 1])
    more = ""
    if len(found) > ATTEMPTS_SHOWN:
        query = request.GET.copy()
        query["item"] = str(found[-1].index)
        more = "?" + query.urlencode()
    known = by_name() if any(row.handle and row.cluster for row in found) else {}
    whys, jobs = attempts_with_doing(found[:ATTEMPTS_SHOWN]), jobs_of(found[:ATTEMPTS_SHOWN])
    shown = [_attempt_row(row, known, whys.get(row.pk), jobs.get(row.pk)) for row in found[:ATTEMPTS_SHOWN]]
    return Attempts(shown, more if is_map else "", phase, phases)


def _attempt_row(
    row: TaskExecution, known: Mapping[str, Cluster], now: Doing | None, job: ConnectorJob | None
) -> AttemptRow:
    is_live, links = row.phase not in ATTEMPT_TERMINAL, [*log_links(row, known), *links_of(job)]
    why = now.why if now is not None else None
    return AttemptRow(row, waiting_of(row), row.attempt + 1, describe_error(row.error), is_live, links, why, job)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@require_GET
@page
def show_node(request: PageRequest, project: str, domain: str, name: str, node_id: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    node = access_node(execution, node_id)
    attempts = _attempts(request, node)
    spec = spec_of(execution, node)
    now = doing.of_nodes(execution, [node]).get(node.pk) if is_node_live(node) else None
    newest = attempts.rows[0].attempt if attempts.rows else None
    context: dict[str, Any] = {
        "execution": execution,
        "node": node,
        **(pod_context(newest) if newest is not None and not is_fragment(request) else {}),
        "spec": spec,
        **({} if is_fragment(request) else items_context(node)),
        **(replicas_context(newest) if newest is not None and newest.cluster else {}),
        "now": node_badge(node, now),
        "doing": now,
        "task_url": _task_url(request, spec) if node.kind == NodeKind.TASK else "",
        "attempts": attempts.rows,
        "job": attempts.rows[0].job if attempts.rows else None,
        "attempts_page": attempts,
        "failure": None if any(row.failure for row in attempts.rows) else describe_error(node.error),
        "inputs": read_values(request, node.input_uri),
        "outputs": read_values(request, node.output_uri),
        "is_live": is_node_live(node),
        "gate": node.gates.first() if node.kind == NodeKind.GATE else None,
        "children": node.child_executions.only("project", "domain", "name", "phase").order_by("id")[:20],
        "deck_uri": _deck_uri(node),
    }
    return respond(request, "executions/node.html", "executions/_node.html", context, live=is_node_live(node))


def _task_url(request: PageRequest, spec: SpecNode | None) -> str:
    """Of the task that it runs, which another project may have; empty for who may not read there, and for one that a
    dynamic task brought along.
    """
    if spec is None or not spec.entity or not access.can(request.user, Action.READ, *spec.place):
        return ""
    if not Task.objects.filter(project=spec.place[0], domain=spec.place[1], name=spec.entity).exists():
        return ""
    return reverse("task", args=[*spec.place, spec.entity])


def _deck_uri(node: NodeExecution) -> str:
    if node.deck_uri:
        return node.deck_uri
    newest = node.task_executions.exclude(deck_uri="").aggregate(newest=Max("pk"))["newest"]
    return "" if newest is None else TaskExecution.objects.only("deck_uri").get(pk=newest).deck_uri


@require_GET
@xframe_options_sameorigin
@page
def show_deck(request: PageRequest, project: str, domain: str, name: str, node_id: str) -> HttpResponseBase:
    execution = access_execution(request.user, project, domain, name)
    uri = _deck_uri(access_node(execution, node_id))
    if not uri:
        raise NotFound(f"node {node_id} has no deck")
    if request.headers.get("Sec-Fetch-Dest") == "document":  # opened alone: our page's policy keeps it from leaving
        return render(request, "executions/deck.html", {"execution": execution, "node_id": node_id})
    return sandboxed_deck(uri)


@require_GET
@page
def show_logs(
    request: PageRequest, project: str, domain: str, name: str, node_id: str, attempt_id: int
) -> HttpResponse:
    """The log of an attempt. htmx gets what was written since `?offset=`, and with it the link to ask for more."""
    execution = access_execution(request.user, project, domain, name)
    node = access_node(execution, node_id)
    row = node.task_executions.filter(pk=attempt_id).first()
    if row is None:
        raise NotFound(f"no attempt {attempt_id} of node {node_id}")
    offset = request.GET.get("offset", "")
    is_live, replica = is_growing(row, timezone.now()), request.GET.get("replica", "")
    if replica and all(one.name != replica for one in replicas.of(row)):
        raise NotFound(f"attempt {attempt_id} of node {node_id} has no replica {replica[:80]}")
    text, end, size = log_text(row, number(offset), replica)
    context = {
        "execution": execution,
        "node": node,
        "attempt": row,
        "number": row.attempt + 1,
        "replica": replica,
        "text": text,
        "offset": end,
        "more": is_live or end < size,
        "cut": size - len(text.encode()) if offset == "" and size > LOG_CHUNK else 0,
    }
    if request.htmx:
        return render(request, "executions/_log_chunk.html", context)
    return render(request, "executions/logs.html", context)


def log_text(row: TaskExecution, offset: int | None, replica: str = "") -> tuple[str, int, int]:
    """Of the attempt, or of one of its replicas: text from `offset` (None: the end of the log), where it ends, and the
    size of the log, in bytes.
    """
    try:
        part = read_log_of(row, offset=offset, limit=LOG_CHUNK, replica=replica)
    except CausewayError:
        return "", 0, 0
    return part.data.decode("utf-8", "replace"), part.next_offset, part.size
