"""Sending traces behind the executions, as OTLP over HTTP: whoever reads which executions ended since the last time.

Nothing is written on an execution's way. While the collector does not answer, the mark stays where it is and all is
told later; what it refuses for good is noted in the log and left out, for it would be refused again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from django.conf import settings
from django.db import connection, transaction
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from artifacts import marks
from lineage.outgoing import NoAnswer, NotAllowed, post
from scheduler.models import Execution, NodeExecution, PhaseEvent, TaskExecution, TracesMark
from scheduler.phases import EXECUTION_TERMINAL, Machine
from scheduler.traces.spans import spans_of

logger = logging.getLogger(__name__)

SENDING = (428, 18)  # advisory lock
AT_ONCE = 500  # phase events looked through in one go
MOST_ROWS = 2000  # nodes, and attempts, of one execution that are told: the first ones
SPANS = 1000  # of one request, or those of one execution
SECONDS = 10.0  # for one request
BUDGET = 30.0  # seconds after which one run begins with nothing more
PASSING = frozenset({401, 403, 404, 408, 429, 500, 502, 503, 504})  # answers that may be others later
MOST_ABOVE = 100  # executions above one another


class NotTaken(Exception):
    """The collector may take it later."""


def send_traces() -> int:
    """Tell of the executions that ended since the last time; how many. The first time begins with what ends from then
    on. NotTaken: what was not told yet is tried again the next time.
    """
    total, until = 0, time.monotonic() + BUDGET
    while settings.CAUSEWAY_OTLP_URL and time.monotonic() < until:
        sent = _send_some()
        if sent is None:
            break
        total += sent
    return total


def _send_some() -> int | None:
    """None: there is nothing to read, or somebody else does. What was told before it broke off is told again, as the
    same spans.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", list(SENDING))
        if not cursor.fetchone()[0]:
            return None
        mark = TracesMark.objects.first() or TracesMark()
        after, upto = marks.step(mark, "scheduler_phaseevent", most=AT_ONCE)
        if after == upto:
            return None
        events = PhaseEvent.objects.filter(pk__gt=after, pk__lte=upto, machine=Machine.EXECUTION)
        ended = events.filter(to_phase__in=sorted(EXECUTION_TERMINAL)).values("object_id")
        found = Execution.objects.filter(pk__in=ended).select_related("launch_plan", "workflow", "task")
        rows = list(found.defer("spec").order_by("pk"))
        for keys, body in bodies_of(rows):
            _send(keys, body)
        return len(rows)


def _send(keys: Sequence[str], body: bytes) -> None:
    try:
        answer = post(
            settings.CAUSEWAY_OTLP_URL.rstrip("/") + "/v1/traces",
            body,
            {"Content-Type": "application/x-protobuf", **headers(settings.CAUSEWAY_OTLP_HEADERS)},
            seconds=SECONDS,
            private=True,  # the operator's own setting: it may be in the same network
        )
    except (NoAnswer, NotAllowed) as error:
        raise NotTaken(f"{settings.CAUSEWAY_OTLP_URL}: {error}") from None
    if answer.status in PASSING:
        raise NotTaken(f"{settings.CAUSEWAY_OTLP_URL}: {answer.status} {answer.text[:200]}")
    if not 200 <= answer.status < 300:
        logger.warning("traces of %s: refused: %s %s", ", ".join(keys)[:500], answer.status, answer.text[:200])


def headers(setting: str) -> Mapping[str, str]:
    """`name=value,name=value`, as OTEL_EXPORTER_OTLP_HEADERS has them."""
    pairs = (pair.partition("=") for pair in setting.split(",") if pair.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def bodies_of(executions: Sequence[Execution]) -> Iterator[tuple[list[str], bytes]]:
    """ExportTraceServiceRequests, each with the keys of the executions that it tells of."""

    def body(spans: Sequence[Span]) -> bytes:
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "causeway"
        scope = resource.scope_spans.add()
        scope.scope.name = "causeway"
        scope.spans.extend(spans)
        return bytes(request.SerializeToString())

    keys: list[str] = []
    spans: list[Span] = []
    for execution in executions:
        keys.append(execution.key)
        spans += _spans(execution)
        if len(spans) >= SPANS:
            yield keys, body(spans)
            keys, spans = [], []
    if spans:
        yield keys, body(spans)


def _spans(execution: Execution) -> list[Span]:
    nodes = NodeExecution.objects.filter(execution=execution).defer("state").order_by("pk")[:MOST_ROWS]
    attempts = TaskExecution.objects.filter(execution_id=execution.pk).defer("command", "resources").order_by("pk")
    *_, root = _above(execution)
    return list(spans_of(execution, root, list(nodes), attempts[:MOST_ROWS]))


def _above(execution: Execution) -> Iterator[Execution]:
    """Itself, what launched it as a part, and so on."""
    for _ in range(MOST_ABOVE):
        yield execution
        if execution.parent_node_id is None:
            return
        execution = Execution.objects.only("pk", "created_at", "parent_node").get(nodes=execution.parent_node_id)
