"""Versions published together: what nothing waits for is noted at once, the rest is evaluated some at a time."""

from __future__ import annotations

from typing import Any

import pytest
from causeway import OnArtifact
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flytekit.core.artifact import Artifact as FlyteArtifact

from artifacts.models import ArtifactVersion
from scheduler import advance_many, wake
from scheduler.models import Execution, FiringOutcome, Trigger, TriggerFiring
from scheduler.tasks import advance_executions, evaluate_triggers_of
from scheduler.triggers import evaluate
from scheduler.triggers.evaluate import evaluate_together
from scheduler.triggers.evaluate_many import pass_by
from tests.artifacts.publishing import START, publish_output
from tests.scheduler.triggers.plans import PRIME, active_plan

pytestmark = pytest.mark.django_db


def publish(artifact: object, execution: str) -> ArtifactVersion:
    return publish_output(artifact, 7, execution=execution, at=START).versions[0][1]  # type: ignore[arg-type]


def primes(count: int) -> list[int]:
    return [publish(PRIME, f"e{number}").pk for number in range(count)]


def left() -> list[int]:
    rows = ArtifactVersion.objects.filter(triggers_evaluated_at=None).order_by("pk")
    return list(rows.values_list("pk", flat=True))


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(wake, "_send", lambda task, *args, **options: sent.append((task, *args)))
    return sent


def test_it_passes_by_what_nothing_watches(object_store: str) -> None:
    trigger = active_plan(OnArtifact(PRIME))
    watched, other = publish(PRIME, "e1"), publish(FlyteArtifact(name="other"), "e2")
    assert pass_by([watched.pk, other.pk]) == [watched.pk]
    watched.refresh_from_db()
    other.refresh_from_db()
    assert (watched.triggers_evaluated_at is None, other.triggers_evaluated_at is None) == (True, False)
    evaluate_triggers_of([watched.pk, other.pk])
    evaluate_triggers_of([watched.pk, other.pk])
    assert trigger.firings.count() == 1


def test_each_fires_once_and_what_is_launched_begins_in_shares(
    object_store: str, woken: list[tuple[Any, ...]], django_capture_on_commit_callbacks: Any
) -> None:
    active_plan(OnArtifact(PRIME))
    active_plan(OnArtifact(PRIME), name="other_plan")
    ids = primes(12)
    with django_capture_on_commit_callbacks(execute=True):
        evaluate_together(ids)
        evaluate_together(ids)
    assert (TriggerFiring.objects.filter(outcome=FiringOutcome.FIRED).count(), left()) == (24, [])
    assert Execution.objects.count() == 24
    with wake.one_turn(gathers=True) as turn:
        turn.executions += range(12)
    assert woken[24:] == [("advance_executions", list(range(10))), ("advance_executions", [10, 11])]


def test_what_goes_one_by_one_is_evaluated_alone(object_store: str) -> None:
    trigger = active_plan(OnArtifact(PRIME))
    Trigger.objects.filter(pk=trigger.pk).update(max_concurrent=1)
    with CaptureQueriesContext(connection) as queries:
        evaluate_together(primes(3))
    outcomes = trigger.firings.order_by("pk").values_list("outcome", flat=True)
    assert (list(outcomes), left()) == ([FiringOutcome.FIRED, FiringOutcome.WAITING, FiringOutcome.WAITING], [])
    assert any("FOR NO KEY UPDATE" in query["sql"] and "scheduler_trigger" in query["sql"] for query in queries)


def test_where_one_breaks_the_others_are_evaluated(object_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = active_plan(OnArtifact(PRIME))
    ids = primes(3)
    fire_all = evaluate._fire_all

    def breaks(fact: evaluate.Fact, *rest: Any) -> None:
        if fact.version.pk == ids[1]:
            raise RuntimeError("broken")
        fire_all(fact, *rest)

    monkeypatch.setattr(evaluate, "_fire_all", breaks)
    evaluate_together(ids)
    assert (trigger.firings.count(), left()) == (2, ids[1:2])


def test_one_that_cannot_go_on_does_not_keep_the_others(object_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    active_plan(OnArtifact(PRIME))
    evaluate_together(primes(2))
    first, second = Execution.objects.order_by("pk").values_list("pk", flat=True)
    Execution.objects.update(counters={"breakdowns": 1})  # of which none begins together with others
    seen: list[int] = []

    def advance(pk: int) -> None:
        seen.append(pk)
        if pk == first:
            raise RuntimeError("broken")

    monkeypatch.setattr(advance_many, "advance", advance)
    advance_executions([first, second])
    assert seen == [first, second]
