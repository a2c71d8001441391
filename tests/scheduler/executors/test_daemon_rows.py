"""A daemon whose executor runs small attempts one after the other: how often it asks the database for how many."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.attempts import claims
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Rows
from scheduler.executors.fake import FakeExecutor
from scheduler.models import Task, TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt, make_node
from tests.scheduler.executors.test_daemon_faults import running, wait_for, wait_until
from tests.scheduler.quotas.test_claiming import quota

pytestmark = pytest.mark.django_db(transaction=True)
SUCCEEDED = Outcome(AttemptPhase.SUCCEEDED)
PLACES, MOST = 2, 20


class InRows(FakeExecutor):
    """One core, on which two attempts of the same task at a time have room for others behind them."""

    def __init__(self, quick: set[int]) -> None:
        super().__init__(lambda assignment: None, total=Resources(cpu=1))
        self.rows = Rows(quick.__contains__, PLACES, MOST)


@pytest.fixture
def quick() -> Task:
    return Task.objects.create(project="p", domain="d", name="quick", version="1", spec=b"", closure=b"", digest=b"")


def queue(task: Task, count: int) -> list[TaskExecution]:
    node = make_node()
    return [make_attempt(node, task=task) for _ in range(count)]


@pytest.fixture
def claimed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many each claim got that got some."""
    counts: list[int] = []
    real = claims.claim

    def counting(*args: Any, **kwargs: Any) -> claims.Claim:
        found = real(*args, **kwargs)
        counts.extend([len(found.rows)] if found.rows else [])
        return found

    monkeypatch.setattr(claims, "claim", counting)
    return counts


@pytest.mark.parametrize("quotas", [False, True])
def test_all_that_is_queued_is_claimed_at_once_and_leaves_room_for_others(
    valkey: object, claimed: list[int], quick: Task, quotas: bool
) -> None:
    if quotas:
        quota("attempts", 1000)
    rows = queue(quick, 16)  # where there would be places for eight
    fake = InRows({quick.pk})
    with running(fake):
        wait_until(lambda: len(fake.running) == len(rows))
        assert len(claimed) == (2 if quotas else 1)
        others = [make_attempt() for _ in range(6)]
        for other in others:
            wait_for(other, AttemptPhase.RUNNING)
        more = queue(quick, MOST)
        wait_until(lambda: len(fake.running) == MOST + len(others))
        for row in rows:
            fake.finish(row.pk, SUCCEEDED)
        wait_until(lambda: all(row.pk in fake.running for row in more))
        for row in (*more, *others):
            fake.finish(row.pk, SUCCEEDED)


def test_once_they_are_not_quick_any_more_each_waits_for_a_place(valkey: object, quick: Task) -> None:
    kinds = {quick.pk}
    fake, rows = InRows(kinds), queue(quick, 10)
    with running(fake):
        wait_until(lambda: len(fake.running) == 10)
        kinds.clear()
        more = queue(quick, 1)[0]
        fake.finish(rows[0].pk, SUCCEEDED)
        wait_for(rows[0], AttemptPhase.SUCCEEDED)
        for row in rows[1:3]:
            assert more.pk not in fake.running
            fake.finish(row.pk, SUCCEEDED)
        wait_until(lambda: more.pk in fake.running)
        for row in (*rows[3:], more):
            fake.finish(row.pk, SUCCEEDED)
