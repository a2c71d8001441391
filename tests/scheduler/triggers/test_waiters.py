"""Versions that nothing waits for are done when they are published, and whoever begins to wait misses none."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from causeway import OnArtifact
from django.db import connection, transaction
from django.utils import timezone
from flyteidl.core import types_pb2

from artifacts.actions.publish import Outcome, Publication, publish_all
from artifacts.actions.waiting import begin_to_wait
from artifacts.declarations import Key
from artifacts.models import ArtifactVersion
from scheduler import wake
from scheduler.actions.launch_plans import set_state
from scheduler.models import FiringOutcome, LaunchPlan, TriggerFiring
from scheduler.triggers import switch
from scheduler.triggers.evaluate import evaluate_version
from tests.artifacts.publishing import integer
from tests.scheduler.triggers.plans import PRIME, active_plan, register_plan

INT = types_pb2.LiteralType(simple=types_pb2.INTEGER)
PLACE = ("flytesnacks", "development")


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    sent: list[object] = []
    monkeypatch.setattr(wake, "_send", lambda task, *args, **options: sent.append((task, *args)))
    return sent


def publish(name: str = "prime", **over: Any) -> ArtifactVersion:
    return publish_many(name, **over)[0].version


def publish_many(*names: str, **over: Any) -> list[Outcome]:
    rows = [Publication(*PLACE, name, integer(number), INT) for number, name in enumerate(names)]
    return publish_all(rows, actor="ann", **{"apart": True, **over})


@pytest.mark.django_db
def test_what_nothing_waits_for_is_done_and_wakes_nobody(
    woken: list[object], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        version = publish()
    version.refresh_from_db()
    assert (version.triggers_evaluated_at, woken) == (version.created_at, [])


@pytest.mark.django_db
def test_what_a_trigger_watches_is_looked_at(
    object_store: str, woken: list[object], django_capture_on_commit_callbacks: Any
) -> None:
    trigger = active_plan(OnArtifact(PRIME))
    with django_capture_on_commit_callbacks(execute=True):
        watched, other = (outcome.version for outcome in publish_many("prime", "other"))
    assert (watched.triggers_evaluated_at, other.triggers_evaluated_at) == (None, other.created_at)
    assert woken == [("evaluate_triggers", watched.pk)]
    evaluate_version(watched.pk)
    assert trigger.firings.count() == 1


@pytest.mark.django_db
def test_what_a_firing_lacks_is_looked_at(object_store: str) -> None:
    trigger = active_plan(OnArtifact(PRIME))
    evaluate_version(publish("prime").pk)
    TriggerFiring.objects.filter(trigger=trigger).update(
        outcome=FiringOutcome.UNRESOLVED, lacks=["flytesnacks/development/other"]
    )
    assert publish("other").triggers_evaluated_at is None
    assert publish("another").triggers_evaluated_at is not None


@pytest.mark.django_db
def test_who_does_more_in_his_transaction_leaves_it_to_be_looked_at() -> None:
    assert publish(apart=False).triggers_evaluated_at is None


@pytest.mark.django_db
def test_only_what_was_done_unseen_is_given_back() -> None:
    since = timezone.now()
    before, unseen, looked_at, shadow = (publish(name) for name in ("before", "prime", "prime", "prime"))
    ArtifactVersion.objects.filter(pk=looked_at.pk).update(triggers_evaluated_at=timezone.now())
    ArtifactVersion.objects.filter(pk=shadow.pk).update(is_shadow=True)
    other = publish("other")
    assert begin_to_wait([(*PLACE, "prime"), (*PLACE, "none")], since=since) == [unseen.pk]
    left = ArtifactVersion.objects.filter(triggers_evaluated_at=None)
    assert list(left.values_list("pk", flat=True)) == [unseen.pk]
    assert begin_to_wait([(*PLACE, "before"), (*PLACE, "other")], since=timezone.now()) == []
    assert begin_to_wait([], since=since) == []
    assert begin_to_wait([(*PLACE, "before"), (*PLACE, "other")], since=since - timedelta(1)) == [before.pk, other.pk]


@contextmanager
def published_but_not_committed() -> Iterator[threading.Event]:
    """A version of `prime` in a transaction of another session; committed when the event is set, or at the end."""
    written, commit = threading.Event(), threading.Event()

    def work() -> None:
        with closing(connection), transaction.atomic():
            publish()
            written.set()
            commit.wait(20)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        assert written.wait(20)
        try:
            yield commit
        finally:
            commit.set()
            done.result()


@pytest.mark.django_db(transaction=True)
def test_a_trigger_fires_for_what_is_published_while_it_is_switched_on(
    object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = 0.0

    def begin(watched: Collection[Key], *, since: datetime) -> list[int]:
        """A version is inserted by somebody who cannot see the trigger yet, and committed while that is waited for."""
        nonlocal took
        with published_but_not_committed() as commit:
            threading.Timer(0.3, commit.set).start()
            began = time.monotonic()
            found = begin_to_wait(watched, since=since)
            took = time.monotonic() - began
        return found

    monkeypatch.setattr(switch, "begin_to_wait", begin)
    plan = register_plan(OnArtifact(PRIME))
    set_state(plan, LaunchPlan.State.ACTIVE, actor="ada")
    version = ArtifactVersion.objects.get()
    assert took > 0.25
    assert version.triggers_evaluated_at is None
    evaluate_version(version.pk)
    assert TriggerFiring.objects.get().outcome == FiringOutcome.FIRED


@pytest.mark.django_db(transaction=True)
def test_who_publishes_does_not_wait_for_who_begins_to_wait() -> None:
    began, end = threading.Event(), threading.Event()

    def begin() -> None:
        with closing(connection), transaction.atomic():
            begin_to_wait([(*PLACE, "prime")], since=timezone.now())
            began.set()
            end.wait(20)

    publish()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(begin)
        assert began.wait(20)
        try:
            assert publish().triggers_evaluated_at is None
        finally:
            end.set()
            done.result()
    assert publish().triggers_evaluated_at is not None
