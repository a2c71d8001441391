from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from scheduler.models import Execution
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes
from tests.console.rest.conftest import Caller, problem
from tests.scheduler.attempts import make_attempt, make_node

URL = "/api/v1/usage"
NOW = datetime.now(timezone.utc)
SINCE = {"start": (NOW - timedelta(hours=5)).isoformat()}


@pytest.fixture(autouse=True)
def used(cast: object) -> None:
    for project, user, cpu in (("demo", "ann", 2), ("demo", "=ben", 1), ("elsewhere", "sue", 4)):
        node = make_node()
        Execution.objects.filter(pk=node.execution_id).update(project=project, domain="development", principal=user)
        row = make_attempt(
            node, phase=AttemptPhase.SUCCEEDED, started_at=NOW - timedelta(hours=2), ended_at=NOW - timedelta(hours=1),
            resources={"cpu": cpu, "gpu": 1},
        )  # fmt: skip
        lanes.give([row.pk])


def test_by_project_and_by_user_of_what_one_may_read(api: Caller) -> None:
    rows = api("root").get(URL, SINCE).json()["results"]
    cpu = {row["group"]["project"]: row["seconds"] for row in rows if row["resource"] == "cpu"}
    assert cpu == {"demo": pytest.approx(3 * 3600), "elsewhere": pytest.approx(4 * 3600)}
    assert {row["resource"] for row in rows} == {"attempts", "cpu", "nvidia.com/gpu"}
    mine = api("vic").get(URL, {**SINCE, "by": "project,user"}).json()["results"]
    gpus = {row["group"]["user"]: row["hours"] for row in mine if row["resource"] == "nvidia.com/gpu"}
    assert gpus == {"ann": pytest.approx(1.0), "=ben": pytest.approx(1.0)}


def test_as_csv_without_formulas(api: Caller) -> None:
    answer = api("vic").get(f"{URL}.csv", {**SINCE, "by": "user"})
    assert answer["Content-Type"].startswith("text/csv")
    lines = answer.content.decode().splitlines()
    assert lines[0] == "user,resource,seconds,hours,cost"
    assert {line.split(",")[0] for line in lines[1:]} == {"ann", "'=ben"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"by": "colour"}, "not kept by colour"),
        ({"start": "2020-01-01T00:00:00Z"}, "at most 366 days"),
        ({"start": (NOW + timedelta(days=1)).isoformat()}, "begin before it ends"),
        ({"start": "yesterday"}, "wrong format"),
        ({"until": "x"}, "unknown"),
    ],
)
def test_what_is_wrong_is_said(api: Caller, query: dict[str, str], said: str) -> None:
    assert said in str(problem(api("root").get(URL, query), 400))
