"""Quotas that are nearly used up: told once each time, and to whom."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from scheduler.actions.subscriptions import Wish, subscribe
from scheduler.models import Channel, Notification, Project, Quota, TaskExecution
from scheduler.notifications.texts import body_of, subject_of, text_of
from scheduler.phases import AttemptPhase
from scheduler.quotas import warning
from tests.scheduler.quotas.test_claiming import attempts, claim, end, quota

pytestmark = pytest.mark.django_db


def told() -> list[str]:
    return list(Notification.objects.order_by("pk").values_list("address", flat=True))


def subscriber(name: str, domain: str = "", *, project: str = "p", kind: str = "quota.warned") -> None:
    Project.objects.get_or_create(identifier=project)
    wish = Wish(kinds=[kind], project=project, domain=domain, channel=Channel.EMAIL, address=f"{name}@example.org")
    subscribe(wish, actor="ann")


def test_it_is_told_once_when_the_level_is_reached_and_again_when_it_is_reached_again() -> None:
    subscriber("ann")
    row = quota("attempts", 5, "p")
    now = datetime.now(timezone.utc)
    attempts("p", 5)
    three = claim(most=3)
    assert warning.look(now=now) == 0 and told() == []
    fourth = claim(most=1)
    assert warning.look(now=now) == 1
    assert warning.look(now=now + timedelta(seconds=5)) == 0, "not with each look"
    claim(most=1)
    assert warning.look(now=now + timedelta(seconds=10)) == 0, "nor with each that follows"
    assert told() == ["ann@example.org"]
    row.refresh_from_db()
    assert row.warned_since == now

    end([*three, *fourth])
    warning.look(now=now + timedelta(minutes=2))
    row.refresh_from_db()
    assert row.warned_since is None
    attempts("p", 4)
    claim()
    assert warning.look(now=now + timedelta(minutes=3)) == 0, "up and down within an hour is told once"
    row.refresh_from_db()
    assert row.warned_since == now + timedelta(minutes=3), "it is shown all the same"
    TaskExecution.objects.update(phase=AttemptPhase.SUCCEEDED)
    warning.look(now=now + timedelta(minutes=4))
    attempts("p", 5)
    claim()
    assert warning.look(now=now + timedelta(hours=2)) == 1
    assert told() == ["ann@example.org"] * 2


def test_whose_quota_it_is_says_who_is_told() -> None:
    subscriber("project")
    subscriber("domain", "development")
    subscriber("failures", kind="execution.failed")
    subscriber("other", project="q")
    attempts("p", 1)
    for resource, where in (("attempts", {"project": "p"}), ("cpu", {})):
        quota(resource, 0.1 if resource == "cpu" else 1, **where)  # type: ignore[arg-type]
    claim()
    assert Quota.objects.filter(resource="cpu").update(limit=0.125) == 1
    TaskExecution.objects.update(phase=AttemptPhase.RUNNING)
    assert warning.look() == 2, "of everything it is shown, and nobody subscribes to that"
    assert told() == ["project@example.org"]


def test_what_it_says() -> None:
    subscriber("ann")
    row = quota("attempts", 1, "p", warn_at=50)
    attempts("p", 1)
    claim()
    warning.look()
    found = Notification.objects.get()
    assert subject_of(found) == "Project p uses 1 of 1 attempts"
    assert text_of(found).startswith("Project p uses 1 of 1 attempts.") and text_of(found).endswith("/quotas/")
    body = body_of(found)
    assert (body["event"], body["detail"]["quota"], body["message"]) == (
        "quota.warned",
        row.pk,
        "Project p uses 1 of 1 attempts",
    )


def test_of_a_pause_nobody_is_warned_nor_of_what_does_not_hold() -> None:
    subscriber("ann")
    quota("attempts", 0, "p")
    later = datetime.now(timezone.utc) + timedelta(days=1)
    quota("cpu", 0.125, "p", valid_from=later)
    attempts("p", 1)
    TaskExecution.objects.update(phase=AttemptPhase.RUNNING)
    assert warning.look() == 0 and told() == []
