"""How long an executor lets what happened wait for more of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts import claims, reports
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.executors.fake import FakeExecutor
from scheduler.executors.pacing import LEAST, MOST, SAMPLES, Pacing
from scheduler.phases import AttemptPhase
from scheduler.wake import wake_executor
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.test_daemon_faults import running, wait_for, wait_until

SUCCEEDED = Outcome(AttemptPhase.SUCCEEDED)


def pacing(held: Sequence[float], *, busy: bool = True) -> Pacing:
    made = Pacing()
    made.busy = busy
    for seconds in held:
        made.note(seconds)
    return made


@pytest.mark.parametrize(
    ("held", "busy", "seconds"),
    [
        ([0.4] * SAMPLES, True, 0.1),
        ([0.1] * SAMPLES, True, 0.05),
        ([0.2] * SAMPLES, False, LEAST),  # processors would stand idle
        ([0.2] * (SAMPLES - 1), True, LEAST),  # a chain that has only begun
        ([0.03] * SAMPLES, True, LEAST),
        ([900.0] * SAMPLES, True, MOST),
        ([9.0] * SAMPLES + [0.03] * SAMPLES, True, LEAST),  # what ended lately counts
    ],
)
def test_it_is_a_part_of_what_attempts_take_on_a_busy_machine(held: list[float], busy: bool, seconds: float) -> None:
    assert pacing(held, busy=busy).seconds() == pytest.approx(seconds)


@given(st.lists(st.floats(0, 1e6), max_size=20), st.booleans())
def test_it_is_never_much(held: list[float], busy: bool) -> None:
    assert LEAST <= pacing(held, busy=busy).seconds() <= MOST


# --- the daemon -------------------------------------------------------------------------------------------------------


class Busy(FakeExecutor):
    def is_busy(self) -> bool:
        return True


def busy(cpu: float) -> Busy:
    return Busy(lambda assignment: None, total=Resources(cpu=cpu))


@pytest.mark.django_db(transaction=True)
def test_ends_that_follow_one_that_was_recorded_are_recorded_together(
    valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = reports.report_ends

    def counting(ends: Collection[Ended], *, actor: str) -> int:
        written.append(len(ends))
        return real(ends, actor=actor)

    monkeypatch.setattr(reports, "report_ends", counting)
    fake, (first, *others) = busy(4), [make_attempt() for _ in range(5)]
    with running(fake) as daemon:
        wait_until(lambda: len(fake.running) == 5 and daemon._pacing.busy)
        wait_for(others[-1], AttemptPhase.RUNNING)
        monkeypatch.setattr(daemon._pacing, "seconds", lambda: 1.0)
        fake.finish(first.pk, SUCCEEDED)
        wait_for(first, AttemptPhase.SUCCEEDED)
        for row in others:
            time.sleep(0.05)
            fake.finish(row.pk, SUCCEEDED)
        wait_for(others[0], AttemptPhase.SUCCEEDED)
    assert written == [1, 4]


@pytest.mark.django_db(transaction=True)
def test_what_somebody_asks_for_is_claimed_at_once_and_a_place_that_became_free_may_wait(valkey: object) -> None:
    fake = busy(0.25)  # two places
    held, waits = [make_attempt() for _ in range(2)], make_attempt()
    with running(fake) as daemon:
        wait_until(lambda: len(fake.running) == 2 and daemon._short)
        daemon._pacing.seconds = lambda: 1000.0  # type: ignore[method-assign]
        fake.finish(held[0].pk, SUCCEEDED)
        time.sleep(0.2)
        assert waits.pk not in fake.running
        with transaction.atomic():
            wake_executor("local")
        wait_until(lambda: waits.pk in fake.running)
        daemon._pacing.seconds = lambda: 0.0  # type: ignore[method-assign]
        for row in (held[1], waits):
            fake.finish(row.pk, SUCCEEDED)


@pytest.mark.django_db(transaction=True)
def test_nothing_waits_for_more_when_nothing_is_left_that_could_end(valkey: object) -> None:
    fake, (first, second, third) = busy(4), [make_attempt() for _ in range(3)]
    with running(fake) as daemon:
        wait_until(lambda: len(fake.running) == 3 and daemon._pacing.busy)
        wait_for(third, AttemptPhase.RUNNING)
        daemon._pacing.seconds = lambda: 1000.0  # type: ignore[method-assign]
        fake.finish(first.pk, SUCCEEDED)
        wait_for(first, AttemptPhase.SUCCEEDED)
        for row in (second, third):
            fake.finish(row.pk, SUCCEEDED)
        wait_for(second, AttemptPhase.SUCCEEDED)
        wait_for(third, AttemptPhase.SUCCEEDED)


@pytest.mark.django_db(transaction=True)
def test_a_place_that_was_the_only_one_in_use_is_filled_at_once(valkey: object) -> None:
    fake = busy(0.125)  # one place
    held, waits = make_attempt(), make_attempt()
    with running(fake) as daemon:
        wait_until(lambda: len(fake.running) == 1 and daemon._short)
        daemon._pacing.seconds = lambda: 1000.0  # type: ignore[method-assign]
        fake.finish(held.pk, SUCCEEDED)
        wait_until(lambda: waits.pk in fake.running)
        fake.finish(waits.pk, SUCCEEDED)
        daemon._pacing.seconds = lambda: 0.0  # type: ignore[method-assign]


def counted_claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many attempts each took."""
    claimed: list[int] = []
    real = claims.claim

    def counting(*args: Any, **options: Any) -> claims.Claim:
        found = real(*args, **options)
        claimed.append(len(found.rows))
        return found

    monkeypatch.setattr(claims, "claim", counting)
    return claimed


@pytest.mark.django_db(transaction=True)
def test_who_claimed_in_vain_does_not_do_it_again_for_every_wake_up(
    valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may be told of all the time of attempts that cannot run here."""
    monkeypatch.setattr("scheduler.executors.daemon.LEAST", 1000.0)
    claimed = counted_claims(monkeypatch)
    with running(busy(4)):
        wait_until(lambda: claimed == [0])
        for _ in range(5):
            with transaction.atomic():
                wake_executor("local")
            time.sleep(0.05)
        assert claimed == [0]


class Late(threading.Event):
    """Set, once, when it has just been found not to be."""

    due = False

    def is_set(self) -> bool:
        found = super().is_set()
        if self.due and not found:
            self.due = False
            self.set()
        return found


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_is_not_lost_that_comes_while_none_is_found(valkey: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.executors.daemon.POLL_SECONDS", 1000.0)
    claimed = counted_claims(monkeypatch)
    with running(busy(4)) as daemon:
        wait_until(lambda: claimed == [0])
        daemon._work = late = Late()
        late.due = True
        wait_until(lambda: claimed == [0, 0])
