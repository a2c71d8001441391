"""Runs at a glance, on the pages and lists of launch plans, workflows and tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.accounts.models import User
from scheduler.models import LaunchPlan, Task
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from scheduler.run_history import figures, percentile, recent
from tests.console.pages.cast import World, make_attempt, make_execution, make_node

Browse = Callable[[User], Client]
PLAN = "/launch-plans/demo/development/train_on_dataset/"


def _runs(count: int, phase: ExecutionPhase, seconds: float = 10, prefix: str = "r") -> None:
    for number in range(count):
        age = timedelta(hours=number + 1)
        run = make_execution(f"{prefix}{number}", "train_on_dataset", phase, age=age)
        assert run.started_at is not None
        if run.ended_at:
            run.ended_at = run.started_at + timedelta(seconds=seconds * (number + 1))
            run.save(update_fields=["ended_at"])


def _evaluates() -> str:
    return LaunchPlan.objects.get(name__endswith=".evaluate_model").name


def _plan() -> LaunchPlan:
    return LaunchPlan.objects.get(name="train_on_dataset")


def test_it_counts_success_of_what_succeeded_or_failed_and_times_of_what_succeeded(world: World) -> None:
    _runs(9, ExecutionPhase.SUCCEEDED)
    _runs(3, ExecutionPhase.ABORTED, prefix="x")
    told = figures(recent([_plan()], most=60, may_read=lambda *_: True)[_plan().pk])

    assert told.count == 14  # with one that succeeded and one that failed before
    assert told.success == 91  # ten of eleven: nobody failed by being aborted
    assert told.p50 == 46.0  # between 42 and 50, of 10, 20, 30, 40, 42, 50 ... 90
    assert told.p95 == 90.0


def test_nothing_that_ended_has_no_rate() -> None:
    told = figures([])
    assert (told.success, told.p50, told.p95) == (None, None, None)
    assert percentile([3.0], 0.95) == 3.0


def test_it_takes_the_newest_of_all_versions(world: World) -> None:
    plan = _plan()
    other = LaunchPlan.objects.get(pk=plan.pk)
    other.pk, other.version, other.state = None, "v2", LaunchPlan.State.INACTIVE
    other.save()
    ages = (3, 2, 1)
    for age in ages:
        values = {"launch_plan": other} if age == 2 else {"launch_plan": plan}
        make_execution(f"r{age}", _evaluates(), ExecutionPhase.SUCCEEDED, age=timedelta(hours=age), **values)
    runs = recent([other], most=4, may_read=lambda *_: True)[other.pk]

    assert [run.name for run in runs] == ["r2", "r1", "atrains", "afailed"]  # the oldest first, the fifth left out


def test_runs_of_a_project_that_one_may_not_read_are_left_out(world: World) -> None:
    make_execution("foreign", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(0), project="elsewhere")
    runs = recent([_plan()], most=60, may_read=lambda project, _: project == "demo")[_plan().pk]

    assert {run.project for run in runs} == {"demo"}


def test_a_task_has_tries(world: World) -> None:
    task = Task.objects.get(name__endswith=".train")
    node = make_node(world.makes, "n7", NodePhase.FAILED)
    make_attempt(node, AttemptPhase.RETRYABLE_FAILED, task=task)
    make_attempt(node, AttemptPhase.SUCCEEDED, task=task, attempt=1)
    runs = recent([task], most=60, may_read=lambda *_: True)[task.pk]

    assert [(run.node, run.phase) for run in runs] == [
        ("n7", ExecutionPhase.FAILED),
        ("n7", ExecutionPhase.SUCCEEDED),
    ]


def test_a_page_draws_each_run_with_a_link_and_a_table_behind_it(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get(PLAN).content.decode()

    assert 'id="history"' in page
    assert "50 % succeeded" in page
    assert "<title>afailed, " in page and ": failed, 42 s</title>" in page
    assert page.count('href="/executions/demo/development/atrains/"') >= 2
    assert '42 s <span class="muted nowrap">failed</span>' in page.split("<tbody>")[1]


def test_a_list_draws_them_without_a_query_for_each(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    for address in ("/launch-plans/", "/workflows/"):
        page = client.get(address).content.decode()
        assert 'class="chart-strip"' in page and "runs; " in page
    with CaptureQueriesContext(connection) as asked:
        client.get("/launch-plans/")
    assert sum("CROSS JOIN LATERAL" in query["sql"] for query in asked) == 1
