"""Whom to end for something of higher priority: the choice against all choices that there are, and in the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import combinations
from typing import Any

import pytest
from flyteidl.core import execution_pb2
from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts import claims, preemption, reports
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import Outcome, aborted
from scheduler.attempts.resources import Resources
from scheduler.executors.packing import MachinePacking
from scheduler.graphs import SYSTEM_RETRIES
from scheduler.models import Execution, ExecutorInstance, NodeExecution, Preemption, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes
from scheduler.quotas.preempting import Room, Running, Wanting, price, short, victims
from scheduler.quotas.rules import EVERYTHING, PROJECT, Lane, Ledger, Limit, Scope
from tests.scheduler.attempts import make_attempt
from tests.scheduler.quotas.test_claiming import node_of, quota

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
PROJECTS = ("a", "b")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Wanting, list[Running], list[Limit], Room]:
    """One that wants to start, some that run on two machines, limits, and what the first machine has left."""
    running = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        cpu = float(draw(st.integers(1, 3)))
        lane = Lane(number, draw(st.sampled_from(PROJECTS)), priority=draw(st.sampled_from([-10, 0, 10])),
                    demand={"attempts": 1.0, "cpu": cpu})  # fmt: skip
        since = NOW - timedelta(seconds=draw(st.integers(0, 3)))
        running.append(Running(number, lane, draw(st.sampled_from(["here", "there"])), since, {"cpu": cpu}))
    asks = float(draw(st.integers(1, 4)))
    lane = Lane(99, draw(st.sampled_from(PROJECTS)), priority=draw(st.sampled_from([0, 10])),
                demand={"attempts": 1.0, "cpu": asks})  # fmt: skip
    found: list[Limit] = []
    for scope in draw(
        st.lists(st.sampled_from([Scope(EVERYTHING), Scope(PROJECT, "a"), Scope(PROJECT, "b")]), unique=True)
    ):
        share = float(draw(st.integers(0, 2))) if scope.kind == PROJECT else 0.0
        found.append(Limit(len(found) + 1, scope, "cpu", float(draw(st.integers(2, 8))), guaranteed=share))
    if len(found) > 1 and found[-1].scope.kind == found[-2].scope.kind == PROJECT and draw(st.booleans()):
        found[-1] = Limit(found[-1].id, found[-1].scope, "cpu", found[-1].limit, lender=found[-2].id)
    return Wanting(99, lane, {"cpu": asks}), running, found, {"cpu": float(draw(st.integers(0, 4)))}


def may_start(
    want: Wanting, running: Sequence[Running], gone: Sequence[Running], found: list[Limit], room: Room
) -> bool:
    """Counted anew, without those."""
    ledger = Ledger(found)
    for one in running:
        if one not in gone:
            ledger.hold(one.lane)
    left = room["cpu"] + sum(one.needs["cpu"] for one in gone if one.place == "here")
    return ledger.block(want.lane) is None and not short({"cpu": left}, want.needs)


def subsets(of: Sequence[Running]) -> Iterator[tuple[Running, ...]]:
    for size in range(len(of) + 1):
        yield from combinations(of, size)


@given(worlds())
def test_it_finds_the_fewest_that_help_whenever_any_do(world: tuple[Wanting, list[Running], list[Limit], Room]) -> None:
    want, running, found, room = world
    ledger, before = Ledger(found), dict(room)
    for one in running:
        ledger.hold(one.lane)
    used = {one.id: ledger.total(one) for one in found}

    gone = victims(want, running, ledger, room, "here")

    lower = [one for one in running if one.lane.priority < want.lane.priority]
    assert all(one in lower for one in gone), "nobody of the same or a higher priority"
    assert (room, {one.id: ledger.total(one) for one in found}) == (before, used), "nothing is changed by asking"
    if may_start(want, running, [], found, room):
        assert gone == []
    elif not may_start(want, running, lower, found, room):
        assert gone == [], "none is ended that would not help"
    else:
        assert may_start(want, running, gone, found, room)
        assert not any(may_start(want, running, some, found, room) for some in combinations(gone, len(gone) - 1))
        highest = max(one.lane.priority for one in gone)
        cheaper = [one for one in lower if one.lane.priority < highest]
        assert not may_start(want, running, cheaper, found, room), "those of a lower priority would have done"


@given(worlds())
def test_of_those_that_alone_would_do_it_takes_the_cheapest(
    world: tuple[Wanting, list[Running], list[Limit], Room],
) -> None:
    want, running, found, room = world
    same = [Running(one.pk, Lane(one.pk, "a", priority=-10, demand=want.lane.demand), "here", one.since, want.needs)
            for one in running]  # fmt: skip
    ledger = Ledger(found)
    for one in same:
        ledger.hold(one.lane)

    gone = victims(want, same, ledger, room, "here")

    if len(gone) == 1 and all(may_start(want, same, [one], found, room) for one in same):
        assert gone == [min(same, key=price)]


def run(project: str, *, priority: int, cpu: float = 1.0, age: int = 60, **fields: object) -> TaskExecution:
    """An attempt that runs on the machine `one`."""
    row = queued(project, priority=priority, cpu=cpu, age=age, **fields)
    then = datetime.now(timezone.utc) - timedelta(seconds=age)
    TaskExecution.objects.filter(pk=row.pk).update(phase=AttemptPhase.RUNNING, claimed_by="one", started_at=then)
    return row


def queued(project: str, *, priority: int, cpu: float = 1.0, age: int = 60, **fields: object) -> TaskExecution:
    then = datetime.now(timezone.utc) - timedelta(seconds=age)
    node = fields.pop("node", None) or node_of(project)
    assert isinstance(node, NodeExecution)
    Execution.objects.filter(pk=node.execution_id).update(domain="development")
    row = make_attempt(node, priority=priority, resources={"cpu": cpu}, created_at=then, **{"attempt": 0, **fields})
    lanes.give([row.pk])
    row.refresh_from_db()
    return row


@pytest.fixture
def machine(db: None) -> ExecutorInstance:
    """Of four cores."""
    now = datetime.now(timezone.utc)
    capacity = Resources(cpu=4, memory=2**33).as_json()
    return ExecutorInstance.objects.create(name="one", executor="local", capacity=capacity, started_at=now, seen_at=now)


def on_the_way() -> set[int]:
    return set(TaskExecution.objects.filter(cancel_requested=True).values_list("pk", flat=True))


@pytest.mark.usefixtures("machine")
def test_where_nobody_asked_for_it_nobody_is_ended() -> None:
    quota("attempts", 1, "p")
    run("p", priority=-10)
    queued("p", priority=10)
    assert preemption.preempt() == 0
    quota("preemption", 1, "q")
    run("q", priority=-10, cpu=1)
    assert preemption.preempt() == 0, "of another project"
    quota("preemption", 1, "p")
    quota("preemption", 0, "p", domain="development")
    assert preemption.preempt() == 0, "not in this domain"
    quota("preemption", 1, "p", domain="development")
    assert preemption.preempt() == 1


@pytest.mark.usefixtures("machine")
def test_the_youngest_of_the_lowest_goes_and_fails_with_who_came_instead() -> None:
    quota("preemption", 1, "p")
    quota("attempts", 3, "p")
    old, young, high = (run("p", priority=p, age=age) for p, age in ((-10, 90), (-10, 30), (10, 1)))
    wants = queued("p", priority=10)

    assert preemption.preempt() == 1
    assert on_the_way() == {young.pk}
    assert preemption.preempt() == 0, "it has preempted, and waits for the end"

    reports.report_ends([Ended(young.pk, aborted("cancelled"), datetime.now(timezone.utc))], actor="one")
    young.refresh_from_db()
    error = execution_pb2.ExecutionError.FromString(bytes(young.error or b""))
    assert (young.phase, young.error_retryable) == (AttemptPhase.FAILED, True)
    assert (error.code, error.kind) == ("Preempted", execution_pb2.ExecutionError.SYSTEM)
    by = Execution.objects.get(pk=wants.execution_id)
    assert by.key in error.message and "a higher priority: it asks for" in error.message
    assert "3 of 3 are in use" in error.message
    assert Preemption.objects.get().by_attempt == wants.pk
    assert TaskExecution.objects.filter(pk__in=[old.pk, high.pk], phase=AttemptPhase.RUNNING).count() == 2
    assert preemption.preempt() == 0, "there is room now"
    packing = MachinePacking(Resources(cpu=4, memory=2**33), Resources(cpu=4, memory=2**33), now=NOW)
    taken = claims.claim("local", "one", packing, now=datetime.now(timezone.utc)).rows
    assert [row.pk for row in taken] == [wants.pk]


@pytest.mark.usefixtures("machine")
def test_who_came_instead_is_not_named_to_those_of_another_project() -> None:
    quota("preemption", 1, "p")
    quota("preemption", 1, "hidden")
    run("p", priority=-10, cpu=4)
    wants = queued("hidden", priority=10, cpu=4)

    assert preemption.preempt() == 1
    made = Preemption.objects.get()
    key = Execution.objects.get(pk=wants.execution_id).key
    error = execution_pb2.ExecutionError.FromString(bytes(made.attempt.error or b""))
    assert error.message == made.message and "higher priority" in error.message
    assert "hidden" not in error.message and made.by_execution == key


@pytest.mark.usefixtures("machine")
def test_for_room_on_the_machine_no_more_go_than_have_to() -> None:
    quota("preemption", 1, "p")
    small = [run("p", priority=-10, cpu=1, age=age) for age in (40, 30)]
    run("p", priority=0, cpu=2)
    queued("p", priority=0, cpu=2)

    assert preemption.preempt() == 2, "both small ones, none of its own priority"
    assert on_the_way() == {row.pk for row in small}


@pytest.mark.usefixtures("machine")
def test_nobody_is_ended_where_it_would_not_help() -> None:
    quota("preemption", 1, "p")
    run("p", priority=-10, cpu=1)
    run("p", priority=0, cpu=3)
    queued("p", priority=0, cpu=2)  # one core would not do
    queued("p", priority=10, cpu=9)  # never fits
    assert preemption.preempt() == 0


@pytest.mark.usefixtures("machine")
def test_one_on_its_last_try_is_spared_and_one_that_just_began_to_wait_is_patient() -> None:
    quota("preemption", 1, "p")
    quota("attempts", 1, "p")
    run("p", priority=-10, attempt=SYSTEM_RETRIES)
    queued("p", priority=10)
    assert preemption.preempt() == 0
    TaskExecution.objects.update(attempt=0)
    TaskExecution.objects.filter(phase=AttemptPhase.QUEUED).update(created_at=datetime.now(timezone.utc))
    assert preemption.preempt() == 0
    assert preemption.preempt(now=datetime.now(timezone.utc) + preemption.AFTER) == 1


@pytest.mark.usefixtures("machine")
def test_what_ended_by_itself_meanwhile_has_ended_so_and_an_abort_is_one() -> None:
    quota("preemption", 1, "p")
    quota("attempts", 2, "p")
    first, second = (run("p", priority=-10, age=age) for age in (20, 10))
    queued("p", priority=10)
    queued("p", priority=10)
    assert preemption.preempt() == 2
    now = datetime.now(timezone.utc)
    reports.report_ends([Ended(first.pk, Outcome(AttemptPhase.SUCCEEDED, output_uri="x"), now)], actor="one")
    reports.request_cancel([second], cause="no more", actor="ann", now=now)
    reports.report_ends([Ended(second.pk, aborted("no more"), now)], actor="one")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.phase, first.error) == (AttemptPhase.SUCCEEDED, None)
    assert (second.phase, second.error) == (AttemptPhase.ABORTED, None)


@pytest.mark.usefixtures("machine")
def test_for_a_pod_without_room_one_of_its_size_on_that_cluster_goes() -> None:
    quota("preemption", 1, "p")
    now = datetime.now(timezone.utc)
    ExecutorInstance.objects.create(
        name="k", executor="kubernetes", cluster="c", capacity={}, started_at=now, seen_at=now
    )
    there: dict[str, Any] = {"executor": "kubernetes", "cluster": "c"}
    small, large = (run("p", priority=-10, cpu=cpu, **there) for cpu in (1, 4))
    TaskExecution.objects.update(claimed_by="k")
    run("p", priority=-10, cpu=4)  # on the machine
    pod = queued("p", priority=10, cpu=2, **there)
    reason = "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu"
    waits = TaskExecution.objects.filter(pk=pod.pk)
    waits.update(phase=AttemptPhase.WAITING_FOR_RESOURCES, claimed_by="k", reason=reason, updated_at=now)
    assert preemption.preempt(now=now) == 0, "its wait has only begun"
    assert preemption.preempt(now=now + 2 * preemption.AFTER) == 1
    assert on_the_way() == {large.pk}
    assert small.pk not in on_the_way()
