"""Holds, erasing, service levels and why, over REST: rights, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.actions.holds import release, set_hold
from artifacts.models import Hold, Kind
from lineage.actions.record import record_derivations
from lineage.models import VersionEdge, VersionRole, Via
from scheduler.levels.look import look_at
from scheduler.models import Execution, ServiceLevel
from tests.console.pages.cast import make_version
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_execution

RUN = "demo/development/e1"


def test_an_approver_pins_and_an_admin_holds(api: Caller) -> None:
    version = make_version("data", Kind.DATASET, execution_key=RUN)
    path = f"/api/v1/artifact-versions/{version.pk}"
    problem(api("ann").post(f"{path}/hold", {"kind": "pin", "reason": "x"}), 403)
    problem(api("abe").post(f"{path}/hold", {"kind": "legal", "reason": "x"}), 403)
    problem(api("abe").post(f"{path}/hold", {"kind": "nail", "reason": "x"}), 400)
    problem(api("sue").post(f"{path}/hold", {"kind": "pin", "reason": "x"}), 404)
    assert api("abe").post(f"{path}/hold", {"kind": "pin", "reason": "best so far"}).status_code == 201
    problem(api("abe").post(f"{path}/hold", {"kind": "pin", "reason": "again"}), 409)
    whole = "/api/v1/artifacts/demo/development/data/hold"
    assert api("ada").post(whole, {"kind": "legal", "reason": "case 12"}).json()["version"] is None
    assert len(api("vic").get("/api/v1/holds").json()["results"]) == 2
    assert api("sue").get("/api/v1/holds").json()["results"] == []
    refused = problem(api("ada").delete(path), 409)
    assert "case 12" in refused["detail"] and "best so far" in refused["detail"]
    legal = Hold.objects.get(kind="legal")
    problem(api("abe").post(f"/api/v1/holds/{legal.pk}/release", {"reason": "x"}), 403)
    problem(api("ada").post(f"/api/v1/holds/{legal.pk}/release", {}), 400)
    assert api("ada").post(f"/api/v1/holds/{legal.pk}/release", {"reason": "closed"}).json()["released_by"] == "ada"
    assert len(api("vic").get("/api/v1/holds?released=true").json()["results"]) == 2


def test_an_erase_needs_the_right_everywhere_and_names_nothing_hidden(
    api: Caller, browser: Callable[[str], Client]
) -> None:
    data = make_version("data", Kind.DATASET, execution_key=RUN)
    made = make_version("model", Kind.MODEL, number=1, project="elsewhere", execution_key="elsewhere/development/e1")
    record_derivations([(data.pk, made.pk)])
    path = f"/api/v1/artifact-versions/{data.pk}/erase"
    problem(api("abe").get(path), 403)
    plan = api("ada").get(f"{path}?derived=true").json()
    assert (plan["derived"], plan["hidden"], plan["bytes_before"]) == ([], 1, 4096)
    refused = problem(api("ada").post(path, {"derived": True, "reason": "gdpr"}), 403)
    assert refused["detail"] == "1 of what would go lies where ada may not read: who administers all of it erases it"
    problem(api("ada").post(path, {"derived": False}), 400)
    hold = set_hold(Hold.Kind.LEGAL, artifact=made.artifact, version=made, reason="a case of theirs", actor="sue")
    page = browser("ada").get(f"/artifacts/versions/{data.pk}/erase/?derived=on").content.decode()
    assert "1 more lie" in page and "a case of theirs" not in page
    release(hold, reason="closed", actor="sue")
    make_execution("e7", project="elsewhere")
    used = {"role": VersionRole.CONSUMED, "via": Via.FETCH, "at": timezone.now()}
    VersionEdge.objects.create(version=data, execution_key="elsewhere/development/e7", **used)
    assert api("ada").get(path).json()["blocked"] == ["an execution of another place is using it"]
    Execution.objects.update(ended_at=timezone.now())
    assert api("root").get(path).json()["derived"][0]["version"]["name"] == "model"
    done = api("root").post(path, {"derived": True, "reason": "gdpr"}).json()
    assert (done["bytes_freed"], sorted(done["erased"])) == (4096, [data.pk, made.pk])
    assert [one["id"] for one in api("ada").get("/api/v1/erasures").json()["results"]] == [done["id"]]
    gone = api("root").get(f"/api/v1/artifact-versions/{data.pk}").json()
    assert gone["removed_at"] and gone["metrics"] == {} and gone["value"] is None


def level(**over: Any) -> dict[str, Any]:
    return {"project": "demo", "domain": "development", "kind": "fresh", "name": "data", "seconds": 60, **over}


@pytest.mark.parametrize(
    ("over", "status"),
    [
        ({"seconds": 0}, 400),
        ({"seconds": "long"}, 400),
        ({"kind": "sometimes"}, 400),
        ({"kind": "new_by", "seconds": None, "time": "07:00", "zone": "Mars/Base"}, 400),
        ({"name": "nothing"}, 404),
        ({"project": "elsewhere"}, 404),
        ({"kind": "ends_within", "name": "nothing"}, 404),
    ],
)
def test_promises_about_nothing_are_refused(api: Caller, over: dict[str, Any], status: int) -> None:
    make_version("data", Kind.DATASET)
    problem(api("abe").post("/api/v1/service-levels", level(**over)), status)
    assert not ServiceLevel.objects.exists()


def test_a_service_level_is_told_with_how_it_was_kept(api: Caller) -> None:
    make_version("data", Kind.DATASET)
    problem(api("ann").post("/api/v1/service-levels", level()), 403)
    made = api("abe").post("/api/v1/service-levels", level()).json()
    look_at(made["id"], now=timezone.now() + timedelta(hours=1))
    (row,) = api("vic").get("/api/v1/service-levels").json()["results"]
    assert (row["met"], row["breached"]) == (0, 1) and row["open_since"] and row["words"].endswith("1 min")
    path = f"/api/v1/service-levels/{made['id']}"
    assert api("vic").get(f"{path}/outcomes?met=false").json()["results"][0]["met"] is False
    assert "days" in api("vic").get(path).json()
    problem(api("sue").get(path), 404)
    problem(api("vic").delete(path), 403)
    assert api("abe").delete(path).status_code == 204
    problem(api("abe").get("/api/v1/availability"), 403)
    assert api("root").get("/api/v1/availability").json()["counts"]["executions_failed"] == 0


def test_why_is_for_readers_and_costs_as_much_for_many(api: Caller, django_assert_max_num_queries: Any) -> None:
    run = make_execution("e1")
    rows = [make_version("data", Kind.DATASET, number=number, execution_key=run.key) for number in range(12)]
    record_derivations([(rows[0].pk, one.pk) for one in rows[1:]])
    path = f"/api/v1/artifact-versions/{rows[5].pk}/why"
    problem(api("sue").get(path), 404)
    told = api("vic").get(path).json()
    assert [step["verb"] for step in told["steps"]].count("version.publish") == 2
    assert all(step["proof"]["row"] for step in told["steps"]) and told["hidden"] == 0
    caller = api("vic")
    with django_assert_max_num_queries(30):
        caller.get(path)
    by_name = f"/api/v1/artifacts/demo/development/data/versions/{rows[5].version}/why"
    assert api("vic").get(by_name).json() == told
    assert api("vic").get(f"/api/v1/executions/{run.key}/why").json()["steps"]
    problem(api("sue").get(f"/api/v1/executions/{run.key}/why"), 404)
