"""The matrix of partitions on an artifact's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import count

import pytest
from django.test import Client

from artifacts.actions.publish import Publication, publish
from artifacts.models import ArtifactVersion, Granularity
from console.accounts.models import User
from lineage.actions.record import record_derivations
from scheduler.models import Execution, ExecutionValue, LaunchPlan, ValueSide
from scheduler.phases import ExecutionPhase
from tests.artifacts.publishing import INT, integer
from tests.console.pages import branch_program, shop_program
from tests.console.pages.cast import World, make_execution
from tests.flyte import register_module

Browse = Callable[[User], Client]
DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAYS_OLD = timedelta(days=2)


def made(name: str, days: int, region: str) -> ArtifactVersion:
    at = DAY + timedelta(days=days)
    given = Publication(
        "demo",
        "development",
        name,
        integer(days),
        INT,
        partitions={"region": region},
        time_partition=at,
        granularity=Granularity.DAY,
    )
    return publish(given, actor="ann")


def test_it_shows_what_is_fresh_out_of_date_and_missing_and_leads_there(world: World, browse: Browse) -> None:
    source = made("raw", 0, "SEA")
    stale, fresh = made("sales", 0, "SEA"), made("sales", 2, "LAX")
    record_derivations([(source.pk, stale.pk)])
    made("raw", 0, "SEA")

    answer = browse(world.admin).get("/artifacts/demo/development/sales/")

    page = answer.content.decode()
    assert f'href="/artifacts/versions/{fresh.pk}/" title="LAX, 2026-03-03, fresh"' in page
    assert 'title="SEA, 2026-03-01, out of date"' in page and 'title="SEA, 2026-03-02, missing: launch it"' in page
    assert (answer.context["missing"], answer.context["stale_places"]) == (4, {stale.pk})


@pytest.fixture
def shops(world: World) -> Callable[..., Execution]:
    """Sales by region and day that a launch plan makes from `region` and `day`; a run of it for such inputs."""
    register_module(shop_program, project="demo", domain="development")
    plan = LaunchPlan.objects.get(name=f"{shop_program.__name__}.sell")
    numbers = count(1)

    def run(region: str, day: str, phase: ExecutionPhase, age: timedelta = timedelta(0)) -> Execution:
        row = make_execution(f"sell{next(numbers)}", plan.name, phase, age=age)
        for name, text in (("region", region), ("day", f"{day}T00:00:00Z")):
            ExecutionValue.objects.create(execution=row, side=ValueSide.INPUT, name=name, text=text)
        return row

    first = run("SEA", "2026-03-01", ExecutionPhase.SUCCEEDED, age=timedelta(days=1))
    for version in (made("sales", 0, "SEA"), made("sales", 2, "LAX")):
        ArtifactVersion.objects.filter(pk=version.pk).update(execution_key=first.key)
    return run


def test_it_shows_what_runs_and_what_failed_where_it_would_be(
    world: World, browse: Browse, shops: Callable[..., Execution]
) -> None:
    page = "/artifacts/demo/development/sales/"
    running = shops("SEA", "2026-03-02", ExecutionPhase.RUNNING)
    failed = shops("LAX", "2026-03-03", ExecutionPhase.FAILED)  # after what is there was published
    shops("SEA", "2026-03-01", ExecutionPhase.FAILED, age=timedelta(days=2))  # made since
    shops("LAX", "2026-03-02", ExecutionPhase.ABORTED)
    told = browse(world.viewer).get(page)
    found = {place: (run.name, run.words) for place, run in told.context["place_runs"].items()}
    assert found == {
        ("SEA", "2026-03-02"): (running.name, "running"),
        ("LAX", "2026-03-03"): (failed.name, "failed"),
    }
    text = told.content.decode()
    assert f'title="SEA, 2026-03-02, running: {running.name}"' in text
    assert 'title="SEA, 2026-03-01, fresh"' in text


@pytest.fixture
def branches(world: World) -> Callable[[str, int], Execution]:
    """Sales by region and day, of each region by a launch plan of its own that fixes it; a run that failed of one."""
    register_module(branch_program, project="demo", domain="development")
    for region in ("SEA", "LAX"):
        run = make_execution(f"made{region.lower()}", f"sell_{region.lower()}", ExecutionPhase.SUCCEEDED, age=DAYS_OLD)
        for days in (0, 2):
            version = made("sales", days, region)
            ArtifactVersion.objects.filter(pk=version.pk).update(execution_key=run.key)

    def failed(region: str, days: int) -> Execution:
        row = make_execution(
            f"failed{region.lower()}{days}", f"sell_{region.lower()}", ExecutionPhase.FAILED, age=timedelta()
        )
        text = f"{DAY + timedelta(days=days):%Y-%m-%d}T00:00:00Z"
        ExecutionValue.objects.create(execution=row, side=ValueSide.INPUT, name="day", text=text)
        return row

    return failed


@pytest.mark.parametrize("region", ["SEA", "LAX"])
def test_a_gap_leads_to_the_launch_plan_that_makes_this_region(
    world: World, browse: Browse, branches: Callable[[str, int], Execution], region: str
) -> None:
    query = {"region": region, "time": "2026-03-02"}
    to = browse(world.admin).get("/artifacts/missing/demo/development/sales/", query).headers["Location"]
    assert to == f"/launch-plans/demo/development/sell_{region.lower()}/launch/?in.day=2026-03-02"


def test_what_launch_plans_make_only_of_others_is_not_launched(
    world: World, browse: Browse, branches: Callable[[str, int], Execution]
) -> None:
    query = {"region": "NYC", "time": "2026-03-02"}
    answer = browse(world.admin).get("/artifacts/missing/demo/development/sales/", query, follow=True)
    assert answer.request["PATH_INFO"] == "/artifacts/demo/development/sales/"
    assert "makes sales of region=NYC" in answer.content.decode()


def test_a_run_of_one_region_says_nothing_of_the_others(
    world: World, browse: Browse, branches: Callable[[str, int], Execution]
) -> None:
    failed = branches("SEA", 1)
    runs = browse(world.viewer).get("/artifacts/demo/development/sales/").context["place_runs"]
    assert {place: run.pk for place, run in runs.items()} == {("SEA", "2026-03-02"): failed.pk}


def test_runs_that_one_may_not_read_are_not_shown(
    world: World, browse: Browse, shops: Callable[..., Execution]
) -> None:
    run = shops("SEA", "2026-03-02", ExecutionPhase.RUNNING)
    Execution.objects.filter(pk=run.pk).update(project="elsewhere")
    assert browse(world.viewer).get("/artifacts/demo/development/sales/").context["place_runs"] == {}


def test_one_place_alone_is_no_matrix(world: World, browse: Browse) -> None:
    made("sales", 0, "SEA")
    assert "matrix" not in browse(world.admin).get("/artifacts/demo/development/sales/").context
