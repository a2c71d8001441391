"""Executions that are launched together begin in one transaction; whichever cannot begins alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Annotated, Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from flytekit import Artifact, task, workflow
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.models import ArtifactVersion, Happening
from scheduler import advance_many
from scheduler.advance import advance, evaluation, pending
from scheduler.advance_many import advance_together
from scheduler.models import (
    CacheEntry,
    Execution,
    ExecutionMode,
    NodeExecution,
    PhaseEvent,
    Quota,
    QuotaScope,
    TaskExecution,
    Workflow,
)
from scheduler.phases import ExecutionPhase
from scheduler.shell import flush as flushing
from scheduler.sweep import sweep_all
from tests.scheduler.driving import Driver, start, workflow_of

pytestmark = [pytest.mark.usefixtures("object_store")]

Made = Artifact(name="begun-together")


@task(cache=True, cache_version="1")
def known(n: int) -> int:
    return n


@task(cache=True, cache_version="1", cache_serialize=True)
def singly(n: int) -> int:
    return n


@task
def plain(n: int) -> int:
    return n


@workflow
def looks_up(n: int) -> int:
    return known(n=n)


@workflow
def looks_up_thrice(n: int) -> int:
    return known(n=known(n=known(n=n)))


@workflow
def runs(n: int) -> int:
    return plain(n=n)


@workflow
def claims(n: int) -> int:
    return singly(n=n)


@workflow
def publishes(n: int) -> Annotated[int, Made]:
    return known(n=n)


PROGRAMS = {"looks_up": looks_up, "thrice": looks_up_thrice, "runs": runs, "claims": claims}
ANSWERS: dict[str, Callable[..., Any]] = {name: lambda n: n for name in ("known", "singly", "plain")}


def warm(row: Workflow, *values: int) -> None:
    """Whatever the cache may have of these, it has."""
    for value in values:
        Driver(ANSWERS).run(start(row, {"n": value}))


def statements(action: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        action()
    return [query["sql"] for query in queries.captured_queries]


def told(execution: Execution) -> dict[str, Any]:
    """All that an evaluation leaves, but for keys, times and places."""
    execution.refresh_from_db()
    nodes = NodeExecution.objects.filter(execution=execution).order_by("node_id")
    attempts = TaskExecution.objects.filter(execution_id=execution.pk).order_by("node__node_id", "attempt")
    events = PhaseEvent.objects.filter(execution_id=execution.pk).order_by("pk")
    return {
        "row": (
            execution.phase,
            execution.counters,
            execution.dirty,
            bool(execution.wake_at),
            bool(execution.started_at),
        ),
        "ended": (bool(execution.ended_at), bool(execution.outputs_uri), bytes(execution.error or b"")),
        "nodes": list(nodes.values_list("node_id", "phase", "attempts", "cache_status", "cache_key", "fingerprint")),
        "attempts": list(attempts.values_list("node__node_id", "attempt", "phase", "executor", "lane")),
        "events": list(events.values_list("machine", "from_phase", "to_phase", "reason", "actor")),
        "happenings": list(Happening.objects.filter(execution_key=execution.key).values_list("kind", "actor")),
    }


@pytest.mark.django_db
def test_ten_cost_as_many_statements_as_two() -> None:
    row = workflow_of(looks_up)
    warm(row, *range(10))
    begun = [[start(row, {"n": n}).pk for n in range(size)] for size in (2, 10, 2)]
    _, ten, two = (statements(lambda pks=pks: advance_together(pks)) for pks in begun)  # type: ignore[misc]
    assert len(ten) == len(two) <= 9, "\n".join(ten)
    assert not Execution.objects.exclude(phase=ExecutionPhase.SUCCEEDED).exists()


@pytest.mark.django_db
@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(sorted(PROGRAMS)), st.integers(0, 2)), min_size=2, max_size=6))
def test_together_comes_what_comes_of_each_alone(asked: list[tuple[str, int]]) -> None:
    with transaction.atomic():
        rows = {name: workflow_of(PROGRAMS[name]) for name, _ in asked}
        for name in rows:
            if name != "claims":  # one that is claimed is held for its first holder
                warm(rows[name], 0)
        many = [start(rows[name], {"n": n}) for name, n in asked if name != "claims" or n]
        same = [start(rows[name], {"n": n}) for name, n in asked if name != "claims" or n]
        advance_together([one.pk for one in many])
        CacheEntry.objects.filter(output_uri="").delete()  # for the others to claim
        for one in same:
            advance(one.pk)
        assert [told(one) for one in many] == [told(one) for one in same]
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_what_breaks_one_down_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    row, odd = workflow_of(looks_up), workflow_of(runs)
    warm(row, 1)

    def breaking(turn: Any) -> Iterator[Any]:
        if turn.execution.workflow_id == odd.pk:
            raise ValueError("this one does not work together")
        return evaluation(turn)

    monkeypatch.setattr("scheduler.advance_many.evaluation", lambda turn: _lazily(breaking, turn))
    good = [start(row, {"n": 1}) for _ in range(3)]
    bad = start(odd, {"n": 1})
    advance_together([good[0].pk, bad.pk, good[1].pk, good[2].pk])
    assert {told(one)["row"][0] for one in good} == {ExecutionPhase.SUCCEEDED}
    assert told(bad)["row"][0] == ExecutionPhase.RUNNING  # it began alone


def _lazily(evaluation: Callable[[Any], Any], turn: Any) -> Iterator[Any]:
    return (yield from evaluation(turn))


@pytest.mark.django_db
def test_where_nothing_can_be_written_together_each_begins_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    row = workflow_of(looks_up)
    warm(row, 1)

    def failing(*turns: Any) -> None:
        flushing.flush(*turns)
        raise OperationalError("the database is away for a moment")

    monkeypatch.setattr(advance_many, "flush", failing)
    begun = [start(row, {"n": 1}) for _ in range(3)]
    with transaction.atomic():
        advance_together([one.pk for one in begun])
    assert {told(one)["row"][0] for one in begun} == {ExecutionPhase.SUCCEEDED}
    assert Happening.objects.filter(execution_key__in=[one.key for one in begun]).count() == 3


@pytest.mark.django_db
def test_what_publishes_publishes_once() -> None:
    row = workflow_of(publishes)
    warm(row, 1)
    before = ArtifactVersion.objects.count()
    begun = [start(row, {"n": 1}) for _ in range(3)]
    advance_together([one.pk for one in begun])
    assert {told(one)["row"][0] for one in begun} == {ExecutionPhase.SUCCEEDED}
    assert ArtifactVersion.objects.count() - before == 3 and before == 1


@pytest.mark.django_db
def test_with_quotas_each_is_asked_for_alone() -> None:
    row = workflow_of(runs)
    now = timezone.now()
    by = {"created_by": "tester", "created_at": now, "updated_by": "tester", "updated_at": now}
    Quota.objects.create(scope=QuotaScope.PROJECT, project="demo", resource="executions", limit=1, **by)
    begun = [start(row, {"n": 1}) for _ in range(2)]
    advance_together([one.pk for one in begun])
    assert sorted(told(one)["row"][0] for one in begun) == [ExecutionPhase.QUEUED, ExecutionPhase.RUNNING]


@pytest.mark.django_db
def test_one_that_began_and_one_that_is_gone_are_in_nobodys_way() -> None:
    row = workflow_of(looks_up)
    warm(row, 1)
    old, *new = (start(row, {"n": 1}) for _ in range(3))
    advance(old.pk)
    before = told(old)
    advance_together([old.pk, *(one.pk for one in new), 2**40])
    assert told(old) == before
    assert {told(one)["row"][0] for one in new} == {ExecutionPhase.SUCCEEDED}
    assert pending([old.pk, *(one.pk for one in new)]) == set()


@pytest.mark.django_db
def test_those_that_somebody_else_was_faster_with_cost_a_look_for_all() -> None:
    row = workflow_of(looks_up)
    warm(row, 1)
    begun = [start(row, {"n": 1}).pk for _ in range(10)]
    advance_together(begun)
    assert len(statements(lambda: advance_together(begun))) <= 4  # with a savepoint, as a test is a transaction


@pytest.mark.django_db
def test_the_sweep_begins_them_together() -> None:
    row = workflow_of(looks_up)
    warm(row, 1)
    begun = [start(row, {"n": 1}) for _ in range(20)]
    inserts = [sql for sql in statements(sweep_all) if 'INSERT INTO "scheduler_nodeexecution"' in sql]
    assert len(inserts) == 2
    assert {told(one)["row"][0] for one in begun} == {ExecutionPhase.SUCCEEDED}


@pytest.mark.django_db(transaction=True)
def test_one_that_somebody_holds_is_waited_for_alone() -> None:
    row = workflow_of(looks_up)
    warm(row, 1)
    held, *others = [start(row, {"n": 1}) for _ in range(3)]
    holding, done = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            Execution.objects.select_for_update(no_key=True).get(pk=held.pk)
            holding.set()
            done.wait(20)
        connections.close_all()

    def begin() -> None:
        advance_together([held.pk, *(one.pk for one in others)])
        connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(hold)]
        assert holding.wait(20)
        running.append(pool.submit(begin))
        wait_until(lambda: {told(one)["row"][0] for one in others} == {ExecutionPhase.SUCCEEDED})
        assert told(held)["row"][0] == ExecutionPhase.UNDEFINED
        done.set()
        for one in running:
            one.result(20)
    assert told(held)["row"][0] == ExecutionPhase.SUCCEEDED


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_workers_that_are_sent_the_same_begin_each_once() -> None:
    row = workflow_of(runs)
    advance(start(row, {"n": 0}).pk)
    begun = [start(row, {"n": n}).pk for n in range(12)]
    at_once = Barrier(3)

    def act(pks: list[int]) -> None:
        at_once.wait(20)
        advance_together(pks)
        connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(act, (begun, begun[::-1], begun[3:] + begun[:3])))
    assert TaskExecution.objects.filter(execution_id__in=begun).count() == 12
    assert NodeExecution.objects.filter(execution_id__in=begun, kind="task").count() == 12


@pytest.mark.django_db
def test_trigger_queues_are_asked_for_once_for_all(django_capture_on_commit_callbacks: Any) -> None:
    row = workflow_of(looks_up)
    warm(row, 1)
    begun = [start(row, {"n": 1}) for _ in range(4)]
    Execution.objects.filter(pk__in=[one.pk for one in begun]).update(mode=ExecutionMode.TRIGGER)
    with django_capture_on_commit_callbacks() as callbacks:
        advance_together([one.pk for one in begun])
    assert len(callbacks) == 1
