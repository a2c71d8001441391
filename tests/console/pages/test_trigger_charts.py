"""Reactions drawn: a minute at a time, and how long they took."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from artifacts.models import Kind
from console.accounts.models import User
from console.pages.trigger_charts import firings_a_minute, latencies
from scheduler.models import FiringOutcome, Trigger, TriggerFiring
from tests.console.pages.cast import World, make_version

PLAN = "/launch-plans/demo/development/train_on_dataset/"


def _fire(world: World, *ages: float, outcome: str = FiringOutcome.SKIPPED, ms: float | None = None) -> Trigger:
    trigger = Trigger.objects.get(launch_plan__name="train_on_dataset")
    TriggerFiring.objects.exclude(trigger=None).filter(latency_ms=12.5).delete()
    for age in ages:
        version = make_version("ml-dataset", Kind.DATASET, number=5000 + TriggerFiring.objects.count())
        at = timezone.now() - timedelta(minutes=age)
        values = {"outcome": outcome, "published_at": at, "at": at, "latency_ms": ms}
        TriggerFiring.objects.create(trigger=trigger, version=version, **values)
    return trigger


def of(trigger: int) -> QuerySet[TriggerFiring]:
    return TriggerFiring.objects.filter(trigger=trigger)


def test_the_page_of_reactions_has_a_row_for_each_launch_plan_however_often_it_reacted(
    world: World, browse: Callable[[User], Client]
) -> None:
    _fire(world, *(number / 10 for number in range(20)))
    _fire(world, 30, outcome=FiringOutcome.FIRED, ms=40)
    _fire(world, 70)  # too long ago
    answer = browse(world.viewer).get("/reactions/")
    (row,) = answer.context["reacting"]
    assert (row.trigger.launch_plan.name, row.count) == ("train_on_dataset", 21)
    assert [(badge.label, count) for badge, count in row.outcomes] == [("Skipped", 20), ("Fired", 1)]
    page = answer.content.decode()
    assert "Reactions of the last hour by minute: 21" in page and "From publication to launch, 1 times" in page
    assert browse(world.viewer).get("/reactions/?plan=nothing").context["reacting"] == []
    assert browse(world.outsider).get("/reactions/").context["reacting"] == []


def test_each_minute_is_a_column_with_its_outcomes(world: World) -> None:
    trigger = _fire(world, 30, 30, 59.5, 90)
    _fire(world, 30, outcome=FiringOutcome.FIRED)
    chart = firings_a_minute(of(trigger.pk), timezone.now())
    assert chart is not None
    drawn = [[(part.value, part.name) for part in bar.bar.parts] for bar in chart.bars if bar.parts]
    assert drawn[-1] == [(1, "fired"), (2, "skipped")]
    assert "at most 3 in a minute" in chart.title
    assert firings_a_minute(of(trigger.pk + 1), timezone.now()) is None


def test_latencies_are_counted_between_bounds(world: World) -> None:
    trigger = _fire(world, 1, 2, ms=25)
    _fire(world, 3, ms=180)
    _fire(world, 4, ms=90_000)
    chart = latencies(of(trigger.pk))
    assert chart is not None
    told = {bar.bar.name: bar.bar.value for bar in chart.bars}
    assert told["up to 25 ms"] == 2 and told["100 ms to 200 ms"] == 1 and told["over 60 s"] == 1
    assert told["1 s to 2 s"] == 0
    assert chart.title == "From publication to launch, 4 times: mostly up to 25 ms"
    assert latencies(of(trigger.pk + 1)) is None


def test_the_page_of_a_launch_plan_draws_them(world: World, browse: Callable[[User], Client]) -> None:
    _fire(world, 1, ms=40)
    page = browse(world.viewer).get(PLAN).content.decode()
    assert "Reactions of the last hour by minute: " in page and "mostly 25 ms to 50 ms" in page
