"""What becomes of an attempt by what an executor sees of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from scheduler.attempts import claims, reports
from scheduler.attempts.observations import Accepted, Ended, Progress, Running, Waiting
from scheduler.attempts.outcomes import Outcome
from scheduler.executors.packing import Unbounded
from scheduler.models import PhaseEvent, TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
DONE = Outcome(AttemptPhase.SUCCEEDED)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def held() -> TaskExecution:
    row = make_attempt()
    claims.claim("local", "one", Unbounded(9), now=BEGIN)
    return row


def trace(row: TaskExecution) -> list[tuple[int, str]]:
    row.refresh_from_db()
    return list(PhaseEvent.objects.filter(object_id=row.pk).order_by("id").values_list("to_phase", "reason"))[1:]


def no_room(row: TaskExecution, words: str, seconds: float) -> Waiting:
    return Waiting(row.pk, "Unschedulable", words, at(seconds), short=True)


def test_each_reason_to_wait_is_said_once_and_remembered() -> None:
    row = held()
    reports.report([no_room(row, "0/3 nodes", 1)], actor="one")
    assert (row.phase, row.handle) == (AttemptPhase.QUEUED, "")
    for seconds in (2, 3):
        reports.report([no_room(row, "0/3 nodes", seconds)], actor="one")
    reports.report([no_room(row, "0/4 nodes", 4)], actor="one")
    reports.report([Waiting(row.pk, "ImagePullBackOff", "no such image", at(5), handle="ns/pod")], actor="one")
    reports.report([Waiting(row.pk, "PodInitializing", "", at(6))], actor="one")
    assert trace(row) == [
        (AttemptPhase.WAITING_FOR_RESOURCES, "Unschedulable: 0/3 nodes"),
        (AttemptPhase.WAITING_FOR_RESOURCES, "Unschedulable: 0/4 nodes"),
        (AttemptPhase.INITIALIZING, "ImagePullBackOff: no such image"),
        (AttemptPhase.INITIALIZING, "PodInitializing"),
    ]
    assert (row.phase, row.reason, row.handle) == (AttemptPhase.INITIALIZING, "PodInitializing", "ns/pod")


def test_a_start_ends_the_waiting_and_what_is_late_changes_nothing() -> None:
    row = held()
    reports.report([no_room(row, "no room", 1), Running(row.pk, "ns/pod", at(2))], actor="one")
    reports.report([no_room(row, "no room", 3), Accepted(row.pk, "", at(3))], actor="one")
    assert trace(row) == [(AttemptPhase.RUNNING, "")]
    assert (row.phase, row.reason, row.started_at) == (AttemptPhase.RUNNING, "", at(2))
    reports.report([Ended(row.pk, DONE, at(4)), Progress(row.pk, at(4), "late")], actor="one")
    reports.report(
        [Progress(row.pk, at(5), "later"), no_room(row, "x", 5), Accepted(row.pk, "other", at(5))], actor="one"
    )
    assert trace(row)[1:] == [(AttemptPhase.SUCCEEDED, "")]
    assert (row.phase, row.reason, row.handle) == (AttemptPhase.SUCCEEDED, "", "ns/pod")


def test_what_is_learnt_stays_through_what_says_nothing_of_it() -> None:
    row = held()
    reports.report([Accepted(row.pk, "ns/pod", at(1)), Accepted(row.pk, "ns/pod", at(2))], actor="one")
    assert trace(row) == [] and row.handle == "ns/pod" and row.phase == AttemptPhase.INITIALIZING
    reports.report([no_room(row, "no room", 3)], actor="one")
    reports.report([Running(row.pk, "ns/pod", at(4))], actor="one")
    reports.report(
        [Progress(row.pk, at(5), "pulled in 3 s"), Progress(row.pk, at(6), deck_uri="s3://deck", log_uri="s3://log")],
        actor="one",
    )
    reports.report([Progress(row.pk, at(7), "pulled in 3 s")], actor="one")
    reports.report([Ended(row.pk, DONE, at(8))], actor="one")
    assert trace(row)[1:] == [
        (AttemptPhase.RUNNING, ""),
        (AttemptPhase.RUNNING, "pulled in 3 s"),
        (AttemptPhase.SUCCEEDED, ""),
    ]
    assert (row.deck_uri, row.log_uri, row.handle) == ("s3://deck", "s3://log", "ns/pod")


def test_an_attempt_that_waits_for_room_is_still_somebodys() -> None:
    row = held()
    reports.report([no_room(row, "no room", 1)], actor="one")
    assert list(claims.held_by("one")) == [row]
    assert claims.claim("local", "two", Unbounded(9), now=at(2)).rows == []
    reports.request_cancel([row], cause="not needed", actor="ann", now=at(3))
    row.refresh_from_db()
    assert (row.phase, row.cancel_requested) == (AttemptPhase.WAITING_FOR_RESOURCES, True)
    assert claims.cancelled("one") == [row.pk]
    reports.report([Ended(row.pk, Outcome(AttemptPhase.ABORTED, reason="cancelled"), at(4))], actor="one")
    row.refresh_from_db()
    assert row.phase == AttemptPhase.ABORTED


def test_each_cluster_has_a_queue_of_its_own() -> None:
    here, there = make_attempt(cluster="a"), make_attempt(cluster="b")
    assert claims.claim("local", "one", Unbounded(9), now=BEGIN).rows == []
    assert [row.pk for row in claims.claim("local", "one", Unbounded(9), now=BEGIN, cluster="a").rows] == [here.pk]
    there.refresh_from_db()
    assert there.phase == AttemptPhase.QUEUED


def test_a_place_without_bounds_takes_what_it_may_hold_in_the_order_of_the_queue() -> None:
    rows = [make_attempt(resources={"cpu": 1000}, priority=priority) for priority in (0, 5, 0)]
    claim = claims.claim("local", "one", Unbounded(2), now=BEGIN)
    assert [row.pk for row in claim.rows] == [rows[1].pk, rows[0].pk] and claim.more
    assert not claims.claim("local", "one", Unbounded(2), now=BEGIN).more


@pytest.mark.parametrize("seen", [Accepted, Running])
def test_where_it_ran_is_known_of_what_started_and_ended_before_either_was_written(seen: type) -> None:
    row = held()
    started = Accepted(row.pk, "ns/pod", at(1)) if seen is Accepted else Running(row.pk, "ns/pod", at(1))
    reports.report([started, Ended(row.pk, DONE, at(2), at(1))], actor="one")
    assert trace(row) == [(AttemptPhase.SUCCEEDED, "")]
    assert (row.handle, row.started_at) == ("ns/pod", at(1))
