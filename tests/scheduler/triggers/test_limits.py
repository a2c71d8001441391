"""Limits, pauses and the queue between publication and launch."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import redis
from causeway import OnArtifact
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.models import ArtifactVersion
from scheduler.actions.launch_plans import set_state
from scheduler.models import Backlog, Execution, FiringOutcome, LaunchPlan, OnLimit, Trigger, TriggerFiring
from scheduler.phases import ExecutionPhase
from scheduler.triggers.evaluate import evaluate_version, retry_by_hand, sweep_triggers
from scheduler.triggers.limits import Limits, read_limits
from scheduler.triggers.queue import queues_of, settle_queue, unsettled
from scheduler.triggers.switch import pause, reset_limits, resume, set_limits
from tests.artifacts.publishing import START
from tests.scheduler.triggers.plans import DATASET, PRIME, active_plan, one_input, register_plan
from tests.scheduler.triggers.test_evaluate import inputs_of, publish, value

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


def limited(**limits: Any) -> Trigger:
    return active_plan(OnArtifact(PRIME, inputs={"n": PRIME}, **limits))


def published(*numbers: int) -> list[ArtifactVersion]:
    versions = [publish(PRIME, number, execution=f"e{number}", minute=number) for number in numbers]
    for version in versions:
        evaluate_version(version.pk)
    return versions


def outcomes() -> list[str]:
    return list(TriggerFiring.objects.order_by("published_at").values_list("outcome", flat=True))


def launched() -> list[object]:
    return [value(inputs_of(each)["n"]) for each in Execution.objects.order_by("pk")]


def end(execution: Execution) -> None:
    Execution.objects.filter(pk=execution.pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=timezone.now())


def test_more_than_may_run_wait_and_start_in_order_when_one_ends() -> None:
    limited(max_concurrent=1)
    published(1, 2, 3)
    assert outcomes() == [FiringOutcome.FIRED, FiringOutcome.WAITING, FiringOutcome.WAITING]
    waiting = TriggerFiring.objects.filter(outcome=FiringOutcome.WAITING)
    assert {firing.reason for firing in waiting} == {"1 of 1 concurrent executions have not ended"}
    for expected in ([1, 2], [1, 2, 3]):
        newest = Execution.objects.order_by("-pk")[0]
        end(newest)
        assert queues_of([newest]) == list({firing.trigger_id for firing in waiting.all()})
        sweep_triggers()
        assert launched() == expected
    assert outcomes() == [FiringOutcome.FIRED] * 3


def test_a_version_never_overtakes_those_that_wait() -> None:
    limited(max_concurrent=1)
    published(1, 2)
    end(Execution.objects.get())
    published(3)
    assert launched() == [1, 2]


def test_it_skips_over_the_limit() -> None:
    limited(max_concurrent=1, on_limit="skip")
    published(1, 2)
    assert outcomes() == [FiringOutcome.FIRED, FiringOutcome.SKIPPED]
    assert launched() == [1]


def test_it_replaces_the_oldest_that_runs() -> None:
    limited(max_concurrent=1, on_limit="replace")
    _, second = published(1, 2)
    first, latest = Execution.objects.order_by("pk")
    assert (first.phase, latest.phase) == (ExecutionPhase.ABORTING, ExecutionPhase.UNDEFINED)
    assert second.version in first.abort_cause and "replaced" in first.abort_cause
    assert outcomes() == [FiringOutcome.FIRED] * 2


def test_a_rate_limit_lets_the_next_go_when_its_time_comes() -> None:
    limited(rate_limit=(2, timedelta(hours=1)))
    published(1, 2, 3)
    assert launched() == [1, 2]
    waiting = TriggerFiring.objects.get(outcome=FiringOutcome.WAITING)
    assert waiting.reason.startswith("rate limit: 2 launches in 3600 s; next at ") and waiting.retry_at is not None
    TriggerFiring.objects.filter(outcome=FiringOutcome.FIRED).update(at=timezone.now() - timedelta(hours=2))
    sweep_triggers()
    assert launched() == [1, 2, 3]


def test_only_the_newest_of_what_waits_launches() -> None:
    limited(max_concurrent=1, newest_only=True)
    versions = published(1, 2, 3, 4)
    end(Execution.objects.get())
    sweep_triggers()
    assert launched() == [1, 4]
    assert outcomes() == [
        FiringOutcome.FIRED, FiringOutcome.COALESCED, FiringOutcome.COALESCED, FiringOutcome.FIRED,
    ]  # fmt: skip
    assert versions[2].version in TriggerFiring.objects.get(version=versions[1]).reason


def test_versions_of_other_partitions_are_not_coalesced() -> None:
    active_plan(OnArtifact(DATASET, inputs={"n": DATASET}, max_concurrent=1, newest_only=True))
    for number, region in enumerate(["SEA", "SEA", "LAX"]):
        evaluate_version(publish(DATASET(region=region), number, execution=f"e{number}", minute=number).pk)
    assert outcomes() == [FiringOutcome.FIRED, FiringOutcome.WAITING, FiringOutcome.WAITING]


def test_a_pause_keeps_what_is_published_meanwhile() -> None:
    trigger = limited()
    pause(trigger.pk, backlog=Backlog.KEEP, actor="ada")
    published(1, 2)
    assert outcomes() == [FiringOutcome.WAITING] * 2 and not Execution.objects.exists()
    assert {firing.reason for firing in TriggerFiring.objects.all()} == {"paused by ada"}
    sweep_triggers()
    assert not Execution.objects.exists()
    resume(trigger.pk, actor="ada")
    assert launched() == [1, 2]


def test_a_pause_drops_what_is_published_meanwhile_if_asked_to() -> None:
    trigger = limited()
    pause(trigger.pk, backlog=Backlog.DROP, actor="ada")
    published(1)
    resume(trigger.pk, actor="ada")
    published(2)
    assert outcomes() == [FiringOutcome.SKIPPED, FiringOutcome.FIRED]
    assert launched() == [2]


def test_what_was_skipped_can_be_launched_by_hand() -> None:
    trigger = limited()
    pause(trigger.pk, backlog=Backlog.DROP, actor="ada")
    published(1)
    resume(trigger.pk, actor="ada")
    firing = TriggerFiring.objects.get()
    assert retry_by_hand(firing.pk, actor="ada").outcome == FiringOutcome.FIRED
    with pytest.raises(FailedPrecondition, match="is fired: only what was"):
        retry_by_hand(firing.pk, actor="ada")
    assert launched() == [1]


def test_a_pause_and_a_persons_limits_pass_to_the_next_version() -> None:
    trigger = limited()
    pause(trigger.pk, backlog=Backlog.KEEP, actor="ada")
    set_limits(trigger.pk, Limits(max_concurrent=3), actor="ada")
    following = register_plan(OnArtifact(PRIME, inputs={"n": PRIME}, max_concurrent=9), one_input, version="v2")
    set_state(following, LaunchPlan.State.ACTIVE, actor="ada")
    found = Trigger.objects.get(launch_plan=following)
    assert (found.paused_by, found.max_concurrent, found.limits_by) == ("ada", 3, "ada")
    assert reset_limits(found.pk, actor="ada").max_concurrent == 9


def test_raising_a_limit_starts_what_waits() -> None:
    trigger = limited(max_concurrent=1)
    published(1, 2, 3)
    set_limits(trigger.pk, Limits(max_concurrent=2), actor="ada")
    assert launched() == [1, 2]


def test_deactivation_skips_what_waits() -> None:
    trigger = limited(max_concurrent=1)
    published(1, 2)
    set_state(trigger.launch_plan, LaunchPlan.State.INACTIVE, actor="ada")
    assert outcomes() == [FiringOutcome.FIRED, FiringOutcome.SKIPPED]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ([], "limits must be an object"),
        ({"speed": 1}, "limits have speed; known are: max_concurrent"),
        ({"rate_count": 1}, "needs both"),
        ({"max_concurrent": 0}, "from 1 to 10000, not 0"),
        ({"max_concurrent": True}, "not True"),
        ({"rate_count": 1, "rate_seconds": "1h"}, "not '1h'"),
        ({"on_limit": "explode"}, "on_limit is queue, skip, replace"),
        ({"newest_only": "yes"}, "true or false"),
    ],
)
def test_it_refuses_limits_that_are_none(limits: object, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        read_limits(limits)


def test_limits_of_the_program_are_read() -> None:
    trigger = limited(rate_limit=(5, timedelta(minutes=1)), max_concurrent=2, on_limit="replace", newest_only=True)
    found = (trigger.rate_count, trigger.rate_seconds, trigger.max_concurrent, trigger.on_limit, trigger.newest_only)
    assert found == (5, 60, 2, OnLimit.REPLACE, True)


@pytest.mark.django_db(transaction=True)
def test_no_more_than_may_run_launch_when_many_arrive_at_once(valkey: redis.Redis) -> None:
    limited(max_concurrent=2)
    versions = [publish(PRIME, number, execution=f"e{number}", minute=number) for number in range(6)]
    together = threading.Barrier(len(versions))
    errors: list[BaseException] = []

    def work(version: ArtifactVersion) -> None:
        try:
            together.wait()
            evaluate_version(version.pk)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert Execution.objects.count() == 2
    assert sorted(outcomes()) == [FiringOutcome.FIRED] * 2 + [FiringOutcome.WAITING] * 4
    while waiting := TriggerFiring.objects.filter(queued=True).count():
        for execution in Execution.objects.filter(ended_at__isnull=True):
            end(execution)
        sweep_triggers()
        assert TriggerFiring.objects.filter(queued=True).count() == waiting - 2
    assert Execution.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_a_version_that_waits_for_the_lock_while_another_plan_version_takes_over_fires_that_one(
    valkey: redis.Redis,
) -> None:
    limited(max_concurrent=5)
    newer = register_plan(OnArtifact(PRIME, inputs={"n": PRIME}, max_concurrent=5), version="v2")
    version = publish(PRIME, 7)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            evaluate_version(version.pk)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        set_state(newer, LaunchPlan.State.ACTIVE, actor="ada")
        evaluating = threading.Thread(target=work)
        evaluating.start()
        evaluating.join(0.5)  # it has found the older trigger active, and waits for its row
        assert evaluating.is_alive()
    evaluating.join()
    assert not errors
    firing = TriggerFiring.objects.get()
    assert (firing.trigger.launch_plan, firing.outcome) == (newer, FiringOutcome.FIRED)
    assert Execution.objects.get().launch_plan == newer


def test_what_waits_is_not_read_again_with_every_version_that_comes() -> None:
    trigger = active_plan(OnArtifact(DATASET, inputs={"n": DATASET}, newest_only=True))
    pause(trigger.pk, backlog=Backlog.KEEP, actor="ada")

    def seen(region: str) -> str:
        version = publish(DATASET(region=region), 1, execution=f"in-{region}")
        with CaptureQueriesContext(connection) as queries:
            evaluate_version(version.pk)
        return "".join(query["sql"] for query in queries)

    first = seen("r0")
    for number in range(1, 8):
        last = seen(f"r{number}")
    assert last.count("UPDATE") == first.count("UPDATE")
    assert last.count("scheduler_triggerfiring") == first.count("scheduler_triggerfiring")
    assert outcomes() == [FiringOutcome.WAITING] * 8
    resume(trigger.pk, actor="ada")
    assert len(launched()) == 8


def test_turning_on_newest_only_coalesces_what_waits_already() -> None:
    trigger = limited(max_concurrent=1)
    published(1, 2, 3, 4)
    set_limits(trigger.pk, Limits(max_concurrent=1, newest_only=True), actor="ada")
    end(Execution.objects.get())
    sweep_triggers()
    assert launched() == [1, 4]


def test_a_queue_that_cannot_be_settled_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = limited(max_concurrent=1)
    second = active_plan(OnArtifact(PRIME, inputs={"n": PRIME}, max_concurrent=1), name="second")
    published(1, 2)
    Execution.objects.update(phase=ExecutionPhase.SUCCEEDED, ended_at=timezone.now())

    def broken(trigger_id: int) -> None:
        if trigger_id == first.pk:
            raise RuntimeError("corrupt")
        settle_queue(trigger_id)

    monkeypatch.setattr("scheduler.triggers.evaluate.settle_queue", broken)
    sweep_triggers()
    fired = TriggerFiring.objects.filter(outcome=FiringOutcome.FIRED)
    assert [fired.filter(trigger=one).count() for one in (first, second)] == [1, 2]


def test_queues_are_settled_in_the_order_of_what_waits_longest_and_not_those_that_are_paused() -> None:
    plans = [active_plan(OnArtifact(PRIME, inputs={"n": PRIME}, max_concurrent=1), name=f"p{n}") for n in range(3)]
    published(1, 2, 3)
    assert unsettled(limit=10) == [plan.pk for plan in plans]
    TriggerFiring.objects.filter(trigger=plans[2], queued=True).update(published_at=START - timedelta(days=1))
    assert unsettled(limit=10) == [plans[2].pk, plans[0].pk, plans[1].pk]
    pause(plans[0].pk, backlog=Backlog.KEEP, actor="ada")
    assert unsettled(limit=10) == [plans[2].pk, plans[1].pk]
    assert unsettled(limit=1) == [plans[2].pk]


def test_what_nobody_looks_at_is_not_read_under_the_lock() -> None:
    limited(max_concurrent=1)
    published(1)
    version = publish(PRIME, 2, execution="e2")
    with CaptureQueriesContext(connection) as queries:
        evaluate_version(version.pk)
    read = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert any("scheduler_triggerfiring" in sql and '"artifacts_artifactversion"."version"' in sql for sql in read)
    assert not [sql for sql in read if '"artifacts_artifactversion"."terms"' in sql]
    assert not [sql for sql in read if '"artifacts_artifactversion"."card"' in sql]
