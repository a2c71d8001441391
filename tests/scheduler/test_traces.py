"""Executions that ended are told to an OpenTelemetry collector: a real HTTP server that reads OTLP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.conf import settings
from flytekit import map_task, task, workflow
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pytest_django import Settings

from scheduler import tasks
from scheduler.models import Execution, TaskExecution
from scheduler.traces.sending import NotTaken, headers, send_traces
from tests.flyte import register_all
from tests.receiving import Answer, Posted, receiving
from tests.scheduler.driving import Driver, TaskFailed, start, workflow_of
from tests.scheduler.test_lineage import ANSWERS, child_plan, parent, run_all
from tests.transactions import read_on

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("object_store")]


@dataclass
class Collector:
    statuses: list[int] = field(default_factory=list)  # of the next answers; 200 when there are none
    spans: list[Span] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


@pytest.fixture
def collector(settings: Settings) -> Iterator[Collector]:
    found = Collector()

    def answer(posted: Posted) -> Answer:
        status = found.statuses.pop(0) if found.statuses else 200
        if status == 200:
            assert (posted.path, posted.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            found.tokens.append(posted.headers.get("x-token", ""))
            for resource in ExportTraceServiceRequest.FromString(posted.body).resource_spans:
                found.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return Answer(status)

    with receiving(answer) as url:
        settings.CAUSEWAY_OTLP_URL = f"{url}/"
        settings.CAUSEWAY_OTLP_HEADERS = "x-token=t1, x-other = a=b"
        send_traces()  # it begins with what ends from now on
        yield found


@task
def double(n: int) -> int:
    return 2 * n


@workflow
def doubled(ns: list[int]) -> list[int]:
    return map_task(double)(n=ns)


def told() -> int:
    return read_on(send_traces)


def attributes(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_an_execution_its_nodes_and_their_attempts_are_one_trace(collector: Collector) -> None:
    execution = start(workflow_of(doubled), {"ns": [1, 2, 3]})
    assert told() == 0, "it has not ended"
    Driver({"double": lambda n: 2 * n}).run(execution)
    assert told() == 1 and told() == 0
    whole, node, *attempts = collector.spans
    assert {span.trace_id for span in collector.spans} == {whole.trace_id} and len(whole.trace_id) == 16
    assert whole.parent_span_id == b"" and node.parent_span_id == whole.span_id
    assert {span.parent_span_id for span in attempts} == {node.span_id} and len({one.span_id for one in attempts}) == 3
    assert [span.name for span in attempts] == [f"attempt 0 of item {item}" for item in range(3)]
    assert (attributes(whole)["causeway.execution"], attributes(whole)["causeway.phase"]) == (
        execution.key,
        "SUCCEEDED",
    )
    assert (attributes(node)["causeway.kind"], attributes(attempts[2])["causeway.item"]) == ("array", 2)
    row = Execution.objects.get(pk=execution.pk)
    assert row.ended_at is not None
    assert whole.start_time_unix_nano == pytest.approx(row.created_at.timestamp() * 1e9, abs=1e3)
    assert whole.end_time_unix_nano == pytest.approx(row.ended_at.timestamp() * 1e9, abs=1e3)
    first = TaskExecution.objects.order_by("pk")[0]
    assert first.started_at is not None and attempts[0].events[0].name == "running"
    assert attempts[0].events[0].time_unix_nano == pytest.approx(first.started_at.timestamp() * 1e9, abs=1e3)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert collector.tokens == ["t1"]


def test_what_failed_says_why_with_each_try(collector: Collector) -> None:
    def fail(n: int) -> int:
        raise TaskFailed("the lake is dry")

    Driver({"double": fail}).run(start(workflow_of(doubled), {"ns": [1]}))
    assert told() == 1
    failed = [span for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert len(failed) == 3 and all("the lake is dry" in span.status.message for span in failed)
    assert attributes(failed[-1])["error.type"] == "TaskFailed"


def test_a_child_is_part_of_the_trace_of_the_whole(collector: Collector) -> None:
    register_all(child_plan)
    execution = start(workflow_of(parent, [child_plan]))
    run_all(Driver(ANSWERS), execution)
    assert told() == Execution.objects.count() > 1
    by_id = {span.span_id: span for span in collector.spans}
    roots = [span for span in collector.spans if not span.parent_span_id]
    assert len({span.trace_id for span in collector.spans}) == 1
    assert [attributes(span)["causeway.execution"] for span in roots] == [execution.key]
    assert all(span.parent_span_id in by_id for span in collector.spans if span.parent_span_id)


def test_nothing_is_lost_while_the_collector_is_away(collector: Collector) -> None:
    Driver({"double": lambda n: n}).run(start(workflow_of(doubled), {"ns": [1]}))
    collector.statuses = [503, 401]
    for _ in collector.statuses[:]:
        with pytest.raises(NotTaken):
            told()
    assert told() == 1 and len(collector.spans) == 3


def test_a_collector_that_is_away_is_a_line_of_the_log(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    Driver({"double": lambda n: n}).run(start(workflow_of(doubled), {"ns": [1]}))
    collector.statuses = [503, 503]
    read_on(lambda: tasks.send_traces() or 0)
    assert f"traces wait: {settings.CAUSEWAY_OTLP_URL}: 503" in caplog.text


def test_what_is_refused_for_good_is_left_out(collector: Collector) -> None:
    Driver({"double": lambda n: n}).run(start(workflow_of(doubled), {"ns": [1]}))
    collector.statuses = [400]
    assert told() == 1 and collector.spans == []
    Driver({"double": lambda n: n}).run(start(workflow_of(doubled), {"ns": [1]}))
    assert told() == 1 and len(collector.spans) == 3


def test_headers_are_as_opentelemetry_has_them() -> None:
    assert headers("a=b, c = d=e,") == {"a": "b", "c": "d=e"}
    assert headers("") == {}
