"""What replicas do is kept beside their attempt: the newest that was told, whatever comes with it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from scheduler.attempts import replicas
from scheduler.attempts.observations import Ended, Replica, Replicas
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.reports import report
from scheduler.models import AttemptReplicas
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


def test_what_was_told_last_counts_and_comes_back_as_it_was() -> None:
    row = make_attempt(phase=AttemptPhase.RUNNING)
    first = Replica("worker-0", "worker", 0, state="waiting", reason="ImagePull: no such host")
    last = Replica(
        *("worker-0", "worker", 0, "job-worker-0", "node-1", "failed", "NonZeroExit: no good"),
        exit_code=7,
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=3),
        restarts=2,
        log_uri="s3://b/logs/x.worker-0.log",
    )
    report([Replicas(row.pk, NOW, (first,))], actor="k")
    report([Replicas(row.pk, NOW, (first,)), Replicas(row.pk, NOW, (last,))], actor="k")
    assert replicas.of(row) == [last]
    assert AttemptReplicas.objects.count() == 1


def test_they_are_kept_with_the_end_that_comes_at_the_same_time() -> None:
    row = make_attempt(phase=AttemptPhase.RUNNING)
    told = Replicas(row.pk, NOW, (Replica("master-0", "master", 0, state="succeeded"),))
    report([told, Ended(row.pk, Outcome(AttemptPhase.SUCCEEDED), NOW)], actor="k")
    row.refresh_from_db()
    assert row.phase == AttemptPhase.SUCCEEDED
    assert [one.state for one in replicas.of(row)] == ["succeeded"]


def test_an_attempt_that_is_gone_is_left_out() -> None:
    assert replicas.keep([Replicas(10**9, NOW, ())]) == 0
    assert not AttemptReplicas.objects.exists()
