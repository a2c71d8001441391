"""Prices by every door, and that what was used costs what the attempts cost, to the second."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone

import pytest
from django.test import Client

from audit.models import AuditEvent
from console import usage
from console.accounts.models import User
from scheduler.actions.prices import set_price
from scheduler.models import Execution, Price, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes, used
from tests.console.rest.conftest import Caller, problem
from tests.scheduler.attempts import make_attempt, make_node

URL = "/api/v1/prices"
HOUR = timedelta(hours=1)


def ran(project: str, start: datetime, end: datetime, **resources: float) -> TaskExecution:
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project=project, domain="development", principal="ann")
    row = make_attempt(node, phase=AttemptPhase.SUCCEEDED, started_at=start, ended_at=end, resources=resources)
    lanes.give([row.pk])
    return row


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("by", [("project",), ("project", "day"), ("hour",), ("workflow",)])
def test_what_was_used_and_cost_is_the_sum_over_attempts(
    cast: dict[str, User], summed: bool, by: tuple[str, ...]
) -> None:
    chance, now = random.Random(3), datetime.now(timezone.utc)  # noqa: S311
    start = now - 50 * HOUR
    rows = []
    for _ in range(40):
        began = start + timedelta(seconds=chance.uniform(0, 150_000))
        rows.append(ran(chance.choice(["demo", "elsewhere"]), began, began + timedelta(seconds=chance.uniform(1, 9000)),
                        cpu=chance.choice([1, 2.5]), memory=2**31))  # fmt: skip
    changes = [(start - HOUR, 2.0), (start + 7.3 * HOUR, 3.5), (start + 30.9 * HOUR, 0.0)]
    for at, amount in changes:
        set_price("cpu", amount, currency="EUR", valid_from=at, actor="root")
    set_price("memory", 0.5, valid_from=start + 20.25 * HOUR, actor="root")
    if summed:
        used.sum_up(now=now)

    found = usage.usage(cast["root"], start=start, end=now, by=by)

    seconds: dict[str, float] = defaultdict(float)
    cost = memory = 0.0
    for row in TaskExecution.objects.filter(pk__in=[row.pk for row in rows]):
        assert row.started_at is not None and row.ended_at is not None
        cpu = row.resources["cpu"]
        seconds["cpu"] += cpu * (row.ended_at - row.started_at).total_seconds()
        ends = [at for at, _ in changes[1:]] + [now]
        for (since, amount), until in zip(changes, ends, strict=True):
            part = (min(until, row.ended_at) - max(since, row.started_at)).total_seconds()
            cost += cpu * amount * max(0.0, part) / 3600
        part = (row.ended_at - max(start + 20.25 * HOUR, row.started_at)).total_seconds()
        memory += 2 * 0.5 * max(0.0, part) / 3600
    told = {name: [one for one in found if one.resource == name] for name in ("cpu", "memory", "attempts")}
    assert sum(one.seconds for one in told["cpu"]) == pytest.approx(seconds["cpu"], abs=0.01)
    assert sum(one.cost or 0.0 for one in told["cpu"]) == pytest.approx(cost, abs=1e-4)
    assert sum(one.cost or 0.0 for one in told["memory"]) == pytest.approx(memory, abs=1e-4)
    assert {one.cost for one in told["attempts"]} == {None}, "it never had a price"


def test_an_administrator_sets_replaces_and_removes_one(api: Caller) -> None:
    root = api("root")
    body = {"resource": "gpu", "per_hour": 2.5, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z"}
    assert root.post(URL, body, format="json").status_code == 201
    again = root.post(URL, body | {"per_hour": 3}, format="json").json()
    assert (again["resource"], again["per_hour"], again["set_by"]) == ("nvidia.com/gpu", 3.0, "root")
    assert [one["per_hour"] for one in api("vic").get(URL).json()["results"]] == [3.0]
    assert root.delete(f"{URL}/{again['id']}").status_code == 204
    assert problem(root.delete(f"{URL}/{again['id']}"), 404)
    verbs = AuditEvent.objects.filter(verb__startswith="price.").order_by("pk").values_list("verb", "actor")
    assert list(verbs) == [("price.set", "root"), ("price.set", "root"), ("price.remove", "root")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"per_hour": -1}, "between 0 and"),
        ({"per_hour": 1e300}, "between 0 and"),
        ({"per_hour": "much"}, "number"),
        ({"resource": "colour"}, "is no resource"),
        ({"resource": "executions"}, "not used by the hour"),
        ({"resource": "gpu-hours"}, "not used by the hour"),
        ({"currency": "USD"}, "one currency, EUR"),
        ({"valid_from": "tomorrow"}, "wrong format"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_set(api: Caller, changes: dict[str, object], said: str) -> None:
    set_price("cpu", 1, currency="EUR", actor="root")
    body = {"resource": "cpu", "per_hour": 1} | changes
    assert said in str(problem(api("root").post(URL, body, format="json"), 400))
    assert Price.objects.count() == 1


def test_only_an_administrator_of_everything_may(api: Caller, cast: dict[str, User]) -> None:
    row = set_price("cpu", 1, actor="root")
    for name in ("vic", "ann", "abe"):
        problem(api(name).post(URL, {"resource": "cpu", "per_hour": 2}, format="json"), 403)
        problem(api(name).delete(f"{URL}/{row.pk}"), 403)
        client = Client()
        client.force_login(cast[name])
        assert client.post("/usage/prices/set/", {"resource": "cpu", "per_hour": "2"}).status_code == 403
        assert client.post(f"/usage/prices/{row.pk}/remove/").status_code == 403
    assert Price.objects.get().per_hour == 1


def test_the_admin_panel_sets_one_and_says_what_is_wrong(cast: dict[str, User]) -> None:
    User.objects.filter(pk=cast["root"].pk).update(is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(cast["root"])
    typed = {"resource": "gpu", "per_hour": "-1", "currency": "EUR"}
    assert "between 0 and" in client.post("/admin/scheduler/price/add/", typed).content.decode()
    assert not Price.objects.exists() and not AuditEvent.objects.filter(verb="price.set").exists()
    assert client.post("/admin/scheduler/price/add/", typed | {"per_hour": "3"}).status_code == 302
    row = Price.objects.get()
    assert (row.resource, row.per_hour, row.set_by) == ("nvidia.com/gpu", 3.0, "root")
    assert client.post(f"/admin/scheduler/price/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    verbs = AuditEvent.objects.filter(verb__startswith="price.").order_by("pk").values_list("verb", "actor")
    assert list(verbs) == [("price.set", "root"), ("price.remove", "root")]


def test_the_page_sets_shows_and_keeps_what_is_refused(cast: dict[str, User]) -> None:
    now = datetime.now(timezone.utc)
    ran("demo", now - timedelta(minutes=3), now - timedelta(minutes=1), cpu=3)
    client = Client()
    client.force_login(cast["root"])
    typed = {"resource": "cpu", "per_hour": "-4", "currency": "EUR", "valid_from": "2026-01-01T00:00"}
    refused = client.post("/usage/prices/set/", typed)
    assert refused.status_code == 400 and "between 0 and" in refused.content.decode()
    assert 'value="-4"' in refused.content.decode()
    client.post("/usage/prices/set/", typed | {"per_hour": "20"})
    page = client.get("/usage/?resource=cpu").content.decode()
    assert "Cost, EUR" in page and "2.00" in page and "20.0 EUR" in page
    client.post(f"/usage/prices/{Price.objects.get().pk}/remove/")
    assert not Price.objects.exists()
