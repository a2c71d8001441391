from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditEvent
from console.accounts.models import Role, RoleBinding, User
from scheduler.attempts import claims
from scheduler.executors.packing import Unbounded
from scheduler.models import Execution, ExecutorInstance, LaunchPlan, NamedEntity, Quota, ResourceType, TaskExecution
from scheduler.phases import AttemptPhase, NodePhase
from scheduler.quotas import lanes
from tests.console.rest.conftest import Caller, problem
from tests.scheduler.attempts import make_attempt, make_node

URL = "/api/v1/quotas"
GPUS = {"project": "demo", "resource": "gpu", "limit": 4}


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(verb__startswith="quota.").order_by("pk").values_list("verb", flat=True))


def attempts(count: int, project: str = "demo", **fields: Any) -> list[TaskExecution]:
    node = make_node(phase=NodePhase.QUEUED)
    Execution.objects.filter(pk=node.execution_id).update(project=project, domain="development", phase=2)
    return [make_attempt(node, **fields) for _ in range(count)]


def test_one_is_set_replaced_changed_shown_and_removed(api: Caller) -> None:
    root = api("root")
    made = root.post(URL, GPUS | {"warn_at": 50}, format="json")
    assert made.status_code == 201, made.content
    found = made.json()
    assert found | {"id": 0, "updated_at": ""} == {
        "id": 0, "scope": "project", "subject": "project demo", "project": "demo", "domain": "", "user": "",
        "launch_plan": "", "resource": "nvidia.com/gpu", "window": "", "limit": 4.0, "used": 0.0, "percent": 0,
        "state": "ok", "waiting": 0, "warn_at": 50, "guaranteed": 0.0, "borrows_from": "", "valid_from": None,
        "valid_until": None, "by_platform": True, "updated_by": "root", "updated_at": "",
    }  # fmt: skip
    again = root.post(URL, GPUS | {"limit": "2", "guaranteed": 1}, format="json")
    assert (again.status_code, again.json()["id"], again.json()["limit"]) == (200, found["id"], 2.0)
    one = f"{URL}/{found['id']}"
    changed = root.patch(one, {"limit": 3}, format="json").json()
    assert (changed["limit"], changed["guaranteed"]) == (3.0, 1.0)
    assert [row["id"] for row in root.get(URL).json()["results"]] == [found["id"]]
    assert root.delete(one).status_code == 204 and not Quota.objects.exists()
    assert verbs() == ["quota.create", "quota.update", "quota.update", "quota.remove"]
    event = AuditEvent.objects.filter(verb="quota.update").latest("pk")
    assert (event.project, event.detail) == ("demo", {"limit": 3.0})


def test_it_says_what_is_in_use_and_what_waits_and_why(api: Caller) -> None:
    ExecutorInstance.objects.create(
        name="one", executor="local", started_at=_now(), seen_at=_now(), capacity={"cpu": 8, "gpu": 4}
    )
    attempts(6, resources={"gpu": 1})
    root = api("root")
    root.post(URL, GPUS, format="json")
    assert len(claims.claim("local", "one", Unbounded(3), now=_now()).rows) == 3
    assert root.get(URL).json()["results"][0]["state"] == "ok"
    root.patch(f"{URL}/{Quota.objects.get().pk}", {"warn_at": 75}, format="json")
    assert root.get(URL).json()["results"][0]["state"] == "warning"
    claims.claim("local", "one", Unbounded(9), now=_now())
    (shown,) = root.get(URL).json()["results"]
    assert (shown["used"], shown["percent"], shown["state"], shown["waiting"]) == (4.0, 100, "full", 2)
    (line,) = root.get("/api/v1/queue").json()["results"]
    said = "asks for 1 nvidia.com/gpu, 4 of 4 are in use (quota of project demo)"
    assert (line["code"], line["message"], line["count"], line["place"]) == ("quota", said, 2, "local")
    (place,) = root.get("/api/v1/queue/places").json()["results"]
    assert (place["executor"], place["processes"], place["running"], place["queued"]) == ("local", 1, 4, 2)
    assert place["loads"][-1] == {"resource": "gpu", "asked": 4.0, "capacity": 4.0}
    assert root.get("/api/v1/queue/places?project=demo").status_code == 400, "they are of all projects"
    assert api("sue").get("/api/v1/queue/places").json()["results"][0]["cluster"] == "", "totals of this machine"
    lowered = root.patch(f"{URL}/{shown['id']}", {"limit": 1}, format="json").json()
    assert lowered["state"] == "over" and lowered["used"] == 4.0
    waiting = TaskExecution.objects.filter(phase=AttemptPhase.QUEUED).order_by("-pk").first()
    assert waiting is not None
    execution = waiting.node.execution
    rows = root.get(f"/api/v1/executions/demo/development/{execution.name}/nodes/n0").json()["newest_attempts"]
    whys = [row["why"] for row in rows if row["why"]]
    assert len(whys) == 2 and {one["code"] for one in whys} == {"quota"}
    TaskExecution.objects.exclude(phase=AttemptPhase.QUEUED).update(phase=AttemptPhase.SUCCEEDED)
    Quota.objects.update(limit=0)
    told = root.get(f"/api/v1/executions/demo/development/{execution.name}").json()["why"]
    assert (told["code"], told["place"], told["of"]) == ("quota", 1, 2) and "0 of 0 are in use" in told["message"]
    (listed,) = [one for one in root.get("/api/v1/executions").json()["results"] if one["name"] == execution.name]
    assert listed["why"]["code"] == "quota"
    assert api("sue").get("/api/v1/queue").json()["results"] == [], "others' projects are not shown"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def test_other_reasons(api: Caller) -> None:
    (row,) = attempts(1, reason="waiting for cpu 2")
    path = f"/api/v1/executions/demo/development/{row.node.execution.name}"
    assert api("ann").get(path).json()["why"]["code"] == "cluster away"
    ExecutorInstance.objects.create(
        name="one", executor="local", started_at=_now(), seen_at=_now(), capacity={"cpu": 1, "memory": 2**30}
    )
    why = api("ann").get(path).json()["why"]
    assert (why["code"], why["message"]) == ("capacity", "waiting for cpu 2; there are 1 cpu, 1 GiB memory in all")
    TaskExecution.objects.update(reason="")
    assert api("ann").get(path).json()["why"]["code"] == "priority"
    TaskExecution.objects.update(phase=AttemptPhase.RUNNING)
    assert api("ann").get(path).json()["why"] is None
    row.node.__class__.objects.update(parked=True, phase=NodePhase.QUEUED)
    TaskExecution.objects.all().delete()
    assert api("ann").get(path).json()["why"]["code"] == "parallelism"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"limit": -1}, 400, "between 0 and 2^53"),
        ({"limit": "-1"}, 400, "cannot be negative"),
        ({"limit": 1e300}, 400, "between 0 and 2^53"),
        ({"limit": 10**400}, 400, "between 0 and 2^53"),
        ({"limit": 1.5}, 400, "whole number"),
        ({"limit": True}, 400, "must be a number"),
        ({"limit": [4]}, 400, "must be a number"),
        ({"limit": "four"}, 400, "not a resource quantity"),
        ({"resource": "gpus"}, 400, "no resource: there are executions, launches"),
        ({"resource": "cpu-hours", "window": "year"}, 400, "year"),
        ({"window": "day"}, 400, "a window is of hours"),
        ({"project": "nowhere"}, 404, "no project nowhere"),
        ({"domain": "mars"}, 404, "no domain mars"),
        ({"user": "ann"}, 400, "does not go with what is named"),
        ({"scope": "domain"}, 400, "does not go with what is named"),
        ({"warn_at": 0}, 400, "1 to 100 percent"),
        ({"guaranteed": 5}, 400, "above the limit"),
        ({"borrows_from": "elsewhere"}, 400, "no quota of nvidia.com/gpu of 'elsewhere'"),
        ({"valid_from": "2026-02-01T00:00Z", "valid_until": "2026-01-01T00:00Z"}, 400, "end before it begins"),
        ({"resource": "weight", "limit": 0}, 400, "between 0.01 and 1000"),
        ({"resource": "weight", "limit": 2, "domain": "development"}, 400, "a weight is of a project"),
        ({"resource": "preemption", "limit": 2}, 400, "preemption is 1"),
        ({"resource": "preemption", "limit": -1}, 400, "between 0 and"),
        ({"resource": "preemption", "limit": 1, "guaranteed": 1}, 400, "cannot be guaranteed"),
        ({"resource": "preemption", "limit": 1, "project": "", "user": "ann"}, 400, "takes part in preemption"),
        ({"resource": "preemption", "limit": 1, "project": ""}, 400, "takes part in preemption"),
        ({"warn_at": 10**9}, 400, "1 to 100 percent"),
        ({"project": "", "user": "anm"}, 404, "no user anm"),
        ({"resource": "memory", "limit": 1e-300}, 400, "0 or at least 0.001"),
        ({"pods": 3}, 400, "unknown"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    api: Caller, body: dict[str, Any], status: int, said: str
) -> None:
    answer = problem(api("root").post(URL, GPUS | body, format="json"), status)
    assert said in str(answer), answer
    assert not Quota.objects.exists() and verbs() == []


def test_borrowing_in_a_circle_and_too_many_promises_are_refused(api: Caller) -> None:
    root = api("root")

    def put(project: str, **more: Any) -> Any:
        scope = {"project": project} if project else {}
        return root.post(URL, {**scope, "resource": "cpu", "limit": 4, **more}, format="json")

    assert put("demo").status_code == 201
    assert put("elsewhere", borrows_from="demo").status_code == 201
    assert "borrowing in a circle: project demo from project elsewhere from project demo" in str(
        problem(put("demo", borrows_from="elsewhere"), 400)
    )
    assert "cannot borrow from itself" in str(problem(put("demo", borrows_from="demo"), 400))
    lender = Quota.objects.get(project="demo")
    problem(root.delete(f"{URL}/{lender.pk}"), 409)
    assert put("", limit=5).status_code == 201
    assert put("demo", guaranteed=3).status_code == 200
    assert "6 cpu would be guaranteed of the 5 of everything" in str(problem(put("elsewhere", guaranteed=3), 400))


def test_an_admin_of_a_project_lowers_and_lifts_only_what_he_set(api: Caller) -> None:
    root, ada = api("root"), api("ada")
    number = root.post(URL, GPUS, format="json").json()["id"]
    one = f"{URL}/{number}"
    assert ada.patch(one, {"limit": 3}, format="json").status_code == 200
    assert "an administrator of the project may lower it" in str(
        problem(ada.patch(one, {"limit": 4}, format="json"), 403)
    )
    assert "only one lifts it" in str(problem(ada.delete(one), 403))
    problem(ada.patch(one, {"guaranteed": 1}, format="json"), 403)
    own = ada.post(URL, GPUS | {"domain": "development", "limit": 1}, format="json")
    assert own.status_code == 201 and own.json()["by_platform"] is False
    assert ada.patch(f"{URL}/{own.json()['id']}", {"limit": 2}, format="json").status_code == 200
    assert ada.delete(f"{URL}/{own.json()['id']}").status_code == 204
    takes = ada.post(URL, {"project": "demo", "resource": "preemption", "limit": 1}, format="json").json()
    assert (takes["state"], takes["percent"], takes["by_platform"]) == ("ok", 0, False), "his project asks for it"
    for body in ({"resource": "cpu", "limit": 1}, {"user": "ann", "resource": "cpu", "limit": 1},
                 GPUS | {"resource": "weight"}, GPUS | {"project": "elsewhere"}):  # fmt: skip
        problem(ada.post(URL, body, format="json"), 403)


def test_others_see_what_concerns_them_and_change_nothing(api: Caller) -> None:
    root = api("root")
    number = root.post(URL, GPUS, format="json").json()["id"]
    root.post(URL, {"resource": "cpu", "limit": 9}, format="json")
    root.post(URL, {"user": "ann", "resource": "cpu", "limit": 9}, format="json")

    def seen(name: str) -> set[str]:
        return {row["subject"] for row in api(name).get(URL).json()["results"]}

    assert seen("root") == {"project demo", "everything", "user ann"} == seen("ann")
    assert seen("vic") == {"project demo", "everything"}
    assert seen("sue") == {"everything"}
    problem(api("sue").get(f"{URL}/{number}"), 404)
    problem(api("sue").delete(f"{URL}/{number}"), 404)
    for name in ("vic", "ann", "abe"):
        problem(api(name).patch(f"{URL}/{number}", {"limit": 1}, format="json"), 403)
        problem(api(name).delete(f"{URL}/{number}"), 403)
        problem(api(name).post(URL, GPUS, format="json"), 403)
    assert Quota.objects.get(pk=number).limit == 4


def test_of_the_line_each_sees_the_domains_that_he_may_read(api: Caller, cast: dict[str, User]) -> None:
    cast["dom"] = dom = User.objects.create(username="dom")
    RoleBinding.objects.create(user=dom, role=Role.VIEWER, project="demo", domain="development")
    root = api("root")
    rows = [*attempts(2), *attempts(3)]
    Execution.objects.filter(pk=rows[-1].execution_id).update(domain="production", principal="eve")
    Execution.objects.filter(pk=rows[0].execution_id).update(principal="ann")
    lanes.give([row.pk for row in rows])
    for body in ({"domain": "development"}, {"domain": "production"}, {"resource": "cpu"}):
        assert root.post(URL, GPUS | body, format="json").status_code == 201
    root.post(URL, {"user": "ann", "resource": "attempts", "limit": 0}, format="json")

    def line(name: str) -> list[tuple[str, int, str]]:
        found = api(name).get("/api/v1/queue").json()["results"]
        return sorted((row["domain"], row["count"], row["message"].partition(" (")[0]) for row in found)

    anns, others = "asks for 1 attempts, 0 of 0 are in use", "nothing has been heard of the executor local for 30 s"
    assert line("root") == line("ann") == [("development", 2, anns), ("production", 3, others)]
    hidden = ("development", 2, "asks for 1 attempts, more than is free")
    assert line("vic") == [hidden, ("production", 3, others)] and line("dom") == [hidden]
    seen = {row["subject"] for row in api("dom").get(URL).json()["results"]}
    assert seen == {"project demo", "project demo in development"}


def test_whom_one_borrows_from_is_told_to_those_who_may_read_it(api: Caller) -> None:
    root, ada = api("root"), api("ada")
    root.post(URL, GPUS | {"project": "elsewhere"}, format="json")
    number = root.post(URL, GPUS | {"borrows_from": "elsewhere"}, format="json").json()["id"]
    one = f"{URL}/{number}"
    assert root.get(one).json()["borrows_from"] == "project elsewhere"
    changed = ada.patch(one, {"limit": 3}, format="json").json()
    assert (changed["borrows_from"], changed["limit"]) == ("another project", 3.0)
    assert "elsewhere" not in api("vic").get(URL).content.decode()
    assert str(Quota.objects.get(pk=number).borrows_from) == "nvidia.com/gpu of project elsewhere"
    kept = ada.post(URL, GPUS | {"limit": 2, "borrows_from": "another project"}, format="json").json()
    assert (kept["borrows_from"], kept["limit"]) == ("another project", 2.0)
    shown = root.patch(one, {"limit": 3, "borrows_from": "project elsewhere"}, format="json").json()
    assert (shown["borrows_from"], shown["limit"]) == ("project elsewhere", 3.0)


def test_nobody_finds_out_whose_quotas_there_are(api: Caller) -> None:
    """Neither by names that he tries, nor by what is refused, nor in the trail of his project."""
    root, ada = api("root"), api("ada")
    lender = root.post(URL, GPUS | {"project": "elsewhere"}, format="json").json()["id"]
    number = root.post(URL, GPUS | {"borrows_from": "elsewhere"}, format="json").json()["id"]
    tried = ("elsewhere", "project elsewhere", "nowhere", str(lender), "another user")
    told = {str(problem(ada.post(URL, GPUS | {"borrows_from": name}, format="json"), 403)) for name in tried}
    assert len(told) == 1, "the same of what is there and what is not"
    event = AuditEvent.objects.get(verb="quota.create", project="demo")
    assert event.detail["borrows_from"] == f"quota {lender}" and "elsewhere" not in str(event.detail)
    assert ada.post(URL, GPUS, format="json").json()["borrows_from"] == ""
    assert AuditEvent.objects.latest("pk").detail == {"borrows_from": "none"}, "what was taken away is told"
    root.delete(f"{URL}/{number}")
    own = ada.post(URL, GPUS, format="json").json()["id"]
    root.post(URL, GPUS | {"project": "elsewhere", "borrows_from": "demo"}, format="json")
    refused = str(problem(ada.delete(f"{URL}/{own}"), 409))
    assert "lends to others" in refused and "elsewhere" not in refused


def test_who_borrows_is_not_over_his_limit_and_a_limit_of_nearly_nothing_has_a_percentage(api: Caller) -> None:
    root = api("root")
    root.post(URL, {"project": "elsewhere", "resource": "attempts", "limit": 9}, format="json")
    number = root.post(
        URL, {"project": "demo", "resource": "attempts", "limit": 1, "borrows_from": "elsewhere"}, format="json"
    ).json()["id"]
    attempts(3, resources={"cpu": 1})
    claims.claim("local", "one", Unbounded(9), now=_now())
    found = root.get(f"{URL}/{number}").json()
    assert (found["used"], found["state"]) == (3.0, "borrowing")
    Quota.objects.filter(pk=number).update(limit=1e-320)  # of an older release
    assert root.get(f"{URL}/{number}").json()["percent"] == 10**9


def test_executions_in_line_are_counted_by_one_query_each_for_the_line_and_the_quotas(api: Caller) -> None:
    root = api("root")
    for project in ("demo", "elsewhere"):
        for resource in ("executions", "launches"):
            root.post(URL, {"project": project, "resource": resource, "limit": 0}, format="json")
    for name, project in (("ann", "demo"), ("ann", "demo"), ("eve", "demo"), ("ann", "elsewhere")):
        pk = make_node().execution_id
        Execution.objects.filter(pk=pk).update(
            project=project, domain="development", principal=name, phase=1, waits_since=_now()
        )
    with CaptureQueriesContext(connection) as captured:
        line = root.get("/api/v1/queue").json()["results"]
    assert sorted((row["project"], row["count"]) for row in line) == [("demo", 1), ("demo", 2), ("elsewhere", 1)]
    assert all(row["starts_at"] is None for row in line), "of a limit of nothing"
    asked = [one["sql"] for one in captured if "waits_since" in one["sql"]]
    assert len(asked) == 3, "groups, their first, what is used"
    assert not any('"spec"' in sql for sql in asked)
    with CaptureQueriesContext(connection) as captured:
        found = root.get(URL).json()["results"]
    assert sorted((row["project"], row["waiting"]) for row in found) == [("demo", 3)] * 2 + [("elsewhere", 1)] * 2
    assert sum("waits_since" in one["sql"] for one in captured) == 2
    Quota.objects.filter(project="demo", resource="executions").update(limit=9)
    found = root.get(f"{URL}?project=demo").json()["results"]
    assert {row["resource"]: row["waiting"] for row in found} == {"executions": 0, "launches": 3}, (
        "what is in their way"
    )


def test_a_launch_plan_and_a_time(api: Caller) -> None:
    root = api("root")
    scope = {"project": "demo", "domain": "development", "launch_plan": "nightly"}
    body = scope | {"resource": "executions", "limit": 1}
    problem(root.post(URL, body, format="json"), 404)
    NamedEntity.objects.create(
        resource_type=ResourceType.LAUNCH_PLAN, project="demo", domain="development", name="nightly"
    )
    later = (_now() + timedelta(days=1)).isoformat()
    made = root.post(URL, body | {"valid_from": later}, format="json")
    assert made.status_code == 201 and made.json()["state"] == "off"
    assert made.json()["subject"] == "launch plan demo/development/nightly"
    assert not LaunchPlan.objects.exists()


def test_whoever_administers_the_platform_by_a_role_sets_them(api: Caller) -> None:
    RoleBinding.objects.create(user=User.objects.get(username="vic"), role=Role.ADMIN)
    assert api("vic").post(URL, {"resource": "memory", "limit": "64Gi"}, format="json").json()["limit"] == 2.0**36
