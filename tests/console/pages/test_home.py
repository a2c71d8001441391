"""Home: what needs somebody, what failed, what is due, how the week went; nothing that repeats fills it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.models import Kind
from console.accounts.models import Role, User
from console.pages import home_context
from scheduler import activity
from scheduler.activity import days, storms
from scheduler.models import (
    Execution,
    FiringOutcome,
    Gate,
    GateKind,
    LaunchPlan,
    Quota,
    Schedule,
    Trigger,
    TriggerFiring,
)
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import BOOLEAN, World, make_execution, make_version, user

Browse = Callable[[User], Client]


def _storm(world: World, count: int, *, minutes: float = 1) -> Trigger:
    trigger = Trigger.objects.get(launch_plan__name="train_on_dataset")
    at = timezone.now() - timedelta(minutes=minutes)
    for number in range(count):
        version = make_version("ml-dataset", Kind.DATASET, number=1000 + number)
        outcome = FiringOutcome.SKIPPED if number % 4 else FiringOutcome.FIRED
        TriggerFiring.objects.create(trigger=trigger, version=version, outcome=outcome, published_at=at, at=at)
    return trigger


def test_a_storm_is_said_with_its_rate_and_can_be_paused_there(world: World, browse: Browse) -> None:
    trigger = _storm(world, 80)
    page = browse(world.admin).get("/").content.decode()
    assert "80 reactions in ten minutes, 8 a minute" in page
    assert "Skipped 60" in page and "Fired 20" in page
    assert f'action="/triggers/{trigger.pk}/"' in page
    browse(world.admin).post(f"/triggers/{trigger.pk}/", {"do": "drop"})
    assert "paused by admin" in browse(world.admin).get("/").content.decode()


def test_who_may_not_pause_it_sees_the_storm_and_no_button_and_others_see_nothing(world: World, browse: Browse) -> None:
    trigger = _storm(world, 80)
    page = browse(world.viewer).get("/").content.decode()
    assert "storms:" in page and f'action="/triggers/{trigger.pk}/"' not in page
    assert "storms:" not in browse(world.outsider).get("/").content.decode()


def test_what_fires_seldom_or_did_so_long_ago_is_no_storm(world: World) -> None:
    _storm(world, 59)
    assert storms(Trigger.objects.all(), now=timezone.now()) == []
    TriggerFiring.objects.update(at=timezone.now() - timedelta(hours=1))
    _storm_later = storms(Trigger.objects.all(), now=timezone.now() - timedelta(minutes=55))
    assert [storm.count for storm in _storm_later] == [60]  # with the one of the world


def test_gates_of_the_same_name_are_one_row_with_a_count(world: World, browse: Browse) -> None:
    for number in range(4):
        run = make_execution(f"g{number}", _evaluates(), ExecutionPhase.RUNNING, age=timedelta(minutes=1))
        Gate.objects.create(
            execution=run,
            signal_id="approve_model",
            kind=GateKind.APPROVE,
            literal_type=BOOLEAN.SerializeToString(),
            waiting_since=timezone.now(),
            expires_at=timezone.now() + timedelta(hours=number + 1),
            created_at=timezone.now(),
        )
    (row,) = browse(world.admin).get("/").context["asks"]
    assert (row.count, row.gate.execution.name, row.is_mine) == (5, "g0", True)
    assert browse(world.viewer).get("/").context["asks"][0].is_mine is False


def _evaluates() -> str:
    return LaunchPlan.objects.get(name__endswith=".evaluate_model").name


def test_what_one_decides_oneself_comes_first(world: World, browse: Browse) -> None:
    Gate.objects.create(
        execution=world.evaluates,
        node=world.gate.node,
        signal_id="a_value",
        kind=GateKind.SIGNAL,
        literal_type=BOOLEAN.SerializeToString(),
        waiting_since=timezone.now(),
        expires_at=timezone.now() + timedelta(minutes=1),
        created_at=timezone.now(),
    )
    contributor = user("carl", role=Role.CONTRIBUTOR)
    rows = browse(contributor).get("/").context["asks"]
    assert [(row.gate.signal_id, row.is_mine) for row in rows] == [("a_value", True), ("approve_model", False)]


def test_equal_failures_are_one_row_and_those_of_the_reader_come_first(world: World, browse: Browse) -> None:
    error = world.failed.error
    for number in range(3):
        make_execution(f"f{number}", _evaluates(), ExecutionPhase.FAILED, age=timedelta(hours=1), error=error)
    Execution.objects.filter(pk=world.failed.pk).update(principal="viewer")
    rows = browse(world.viewer).get("/").context["failures"]
    assert [(row.newest.name, row.count, row.is_mine) for row in rows] == [
        ("afailed", 1, True),
        ("f2", 3, False),
    ]
    page = browse(world.viewer).get("/").content.decode()
    assert "yours" in page and "3 ×" in page and "depth must be positive" in page


def test_what_failed_before_yesterday_is_history(world: World, browse: Browse) -> None:
    Execution.objects.filter(pk=world.failed.pk).update(created_at=timezone.now() - timedelta(days=2))
    client = browse(world.viewer)
    assert client.get("/").context["failures"] == []
    assert "Nothing failed" in client.get("/").content.decode()


def test_one_workflow_and_one_artifact_that_repeat_take_one_row(world: World, browse: Browse) -> None:
    for number in range(30):
        make_execution(f"s{number}", _evaluates(), ExecutionPhase.SUCCEEDED, age=timedelta(seconds=number))
        make_version("ml-dataset", Kind.DATASET, number=200 + number, created_at=timezone.now())
    context = browse(world.viewer).get("/").context
    assert [(row.newest.workflow.name.rpartition(".")[2], row.count) for row in context["runs"]] == [
        ("evaluate_model", 31),
        ("train_model", 2),
        ("make_dataset", 1),
    ]
    assert [(row.version.artifact.name, row.count) for row in context["published"]] == [
        ("ml-dataset", 32),
        ("ml-model", 1),
    ]


def test_where_one_fills_all_that_is_newest_the_others_are_looked_for(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_context, "SAMPLE", 5)
    monkeypatch.setattr(activity, "SAMPLE", 5)
    for number in range(9):
        make_execution(f"s{number}", _evaluates(), ExecutionPhase.SUCCEEDED, age=timedelta(seconds=number))
        make_version("ml-dataset", Kind.DATASET, number=200 + number, created_at=timezone.now())
    context = browse(world.viewer).get("/").context
    runs = [(row.newest.name, row.count) for row in context["runs"]]
    assert runs == [("s0", 5), ("afailed", 1), ("amakes", 1)]
    assert [row.version.artifact.name for row in context["published"]] == ["ml-dataset", "ml-model"]


def test_a_poll_leaves_the_week_alone(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get("/", headers={"HX-Request": "true"}).content.decode()
    assert '<div id="week-frame" hx-preserve="true"></div>' in page


def test_the_week_counts_each_day_by_phase(world: World) -> None:
    now = timezone.now()
    Execution.objects.update(created_at=now)
    Execution.objects.filter(name="afailed").update(created_at=now - timedelta(days=3))
    Execution.objects.filter(name="amakes").update(created_at=now - timedelta(days=30))
    found = days(Execution.objects.all(), now=now)
    assert len(found) == 7
    assert found[-1][1] == {ExecutionPhase.SUCCEEDED: 1, ExecutionPhase.RUNNING: 1}
    assert found[3][1] == {ExecutionPhase.FAILED: 1}
    assert [sum(phases.values()) for _, phases in found] == [0, 0, 0, 1, 0, 0, 2]


def test_the_week_is_drawn_for_each_reader_by_himself(world: World, browse: Browse) -> None:
    assert "Executions of seven days: 4, of which 1 failed" in browse(world.viewer).get("/").content.decode()
    assert "Executions of seven days: 0, of which 0 failed" in browse(world.outsider).get("/").content.decode()


def test_what_is_due_and_what_is_late_is_said(world: World, browse: Browse) -> None:
    plan = LaunchPlan.objects.get(name="train_on_dataset")
    schedule = Schedule.objects.create(
        launch_plan=plan,
        kind="cron",
        expression="0 3 * * *",
        active=True,
        next_fire_at=timezone.now() + timedelta(hours=2),
    )
    client = browse(world.viewer)
    assert [one.pk for one in client.get("/").context["due"]] == [schedule.pk]
    Schedule.objects.update(next_fire_at=timezone.now() - timedelta(minutes=5))
    assert "1 should have started by now" in client.get("/").content.decode()
    assert browse(world.outsider).get("/").context["due"] == []


def test_quotas_that_are_used_have_bars(world: World, browse: Browse) -> None:
    now = timezone.now()
    values = {"scope": "project", "project": "demo", "created_by": "admin", "created_at": now, "updated_at": now}
    Quota.objects.create(resource="executions", limit=2, updated_by="admin", **values)
    page = browse(world.viewer).get("/").content.decode()
    assert 'aria-label="50 percent"' in page and "1 of 2" in page


@pytest.mark.parametrize("who", ["admin", "viewer", "outsider"])
def test_it_opens_for_everybody(world: World, browse: Browse, who: str) -> None:
    assert browse(getattr(world, who)).get("/").status_code == 200
