"""Attempts claimed where quotas are set, by several executors at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from flyteidl.core import execution_pb2

from scheduler.actions import quotas
from scheduler.actions.quotas import Setter, Wanted, scope_of
from scheduler.attempts import claims, reports
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.phases import HELD
from scheduler.attempts.resources import Resources
from scheduler.executors.packing import MachinePacking, Unbounded
from scheduler.models import Execution, Lane, LaunchPlan, NodeExecution, Project, Quota, TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt, make_node

ADMIN = Setter("ada", platform=True)
DONE = Outcome(AttemptPhase.SUCCEEDED)
pytestmark = pytest.mark.django_db


def now() -> datetime:
    return datetime.now(timezone.utc)


def quota(resource: str, limit: object, project: str = "", **given: Any) -> Quota:
    if project:
        Project.objects.get_or_create(identifier=project)
    scoped = {name: given.pop(name) for name in ("domain", "user", "launch_plan") if name in given}
    if "user" in scoped:
        get_user_model().objects.get_or_create(username=scoped["user"])
    return quotas.set_quota(Wanted(scope_of(project=project, **scoped), resource, limit, **given), by=ADMIN)[0]


def node_of(project: str = "p", user: str = "") -> NodeExecution:
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project=project, principal=user)
    return node


def attempts(project: str, count: int = 1, node: NodeExecution | None = None, **fields: Any) -> list[TaskExecution]:
    node = node or node_of(project)
    return [make_attempt(node, **fields) for _ in range(count)]


def claim(most: int = 99, executor: str = "local", instance: str = "one") -> list[TaskExecution]:
    return claims.claim(executor, instance, Unbounded(most), now=now()).rows


def end(rows: Sequence[TaskExecution]) -> None:
    reports.report_ends([Ended(row.pk, DONE, now()) for row in rows], actor="test")


def by_project(rows: Iterable[TaskExecution]) -> Counter[str]:
    homes = dict(Execution.objects.values_list("pk", "project"))
    return Counter(homes[row.execution_id] for row in rows)


def test_no_more_than_the_quota_is_claimed_and_the_rest_later() -> None:
    quota("nvidia.com/gpu", 4, "p")
    attempts("p", 6, resources={"gpu": 1})
    first = claim()
    assert len(first) == 4
    assert claim() == []
    end(first[:1])
    assert len(claim()) == 1
    assert claim() == []


def test_what_waits_for_a_quota_keeps_no_others_waiting() -> None:
    """However many there are before them: by lanes, not by age."""
    quota("gpu", 1, "a")
    attempts("a", 200, resources={"gpu": 1})
    others = [*attempts("b", resources={"gpu": 1}), *attempts("a", resources={"cpu": 1})]
    taken = claim()
    assert {row.pk for row in others} < {row.pk for row in taken} and len(taken) == 3


def test_it_counts_all_executors_and_clusters_together() -> None:
    quota("attempts", 2, "p")
    attempts("p", 1)
    attempts("p", 1, executor="kubernetes", cluster="one")
    attempts("p", 1, executor="kubernetes", cluster="two")
    assert len(claim()) == 1
    assert len(claims.claim("kubernetes", "k1", Unbounded(9), now=now(), cluster="one").rows) == 1
    assert claims.claim("kubernetes", "k2", Unbounded(9), now=now(), cluster="two").rows == []


@pytest.mark.parametrize("where", [("local", ""), ("kubernetes", "one"), ("connectors", "")])
def test_what_can_never_fit_ends_at_once_with_the_numbers(where: tuple[str, str]) -> None:
    quota("memory", "4Gi", "p")
    (row,) = attempts("p", resources={"memory": 8 << 30}, executor=where[0], cluster=where[1])
    assert claims.claim(where[0], "one", Unbounded(9), now=now(), cluster=where[1]).rows == []
    row.refresh_from_db()
    assert row.phase == AttemptPhase.FAILED
    error = execution_pb2.ExecutionError.FromString(bytes(row.error or b""))
    assert error.code == "QuotaTooSmall" and error.kind == execution_pb2.ExecutionError.USER
    assert "asks for 8 GiB memory, 0 B of 4 GiB are in use (quota of project p)" in error.message


@pytest.mark.parametrize(
    ("scope", "mine", "other"),
    [
        ({"user": "ada"}, {"project": "p", "user": "ada"}, {"project": "p", "user": "ben"}),
        ({"project": "p", "domain": "production"}, {"project": "p", "domain": "production"}, {"project": "p"}),
    ],
)
def test_scopes(scope: dict[str, str], mine: dict[str, str], other: dict[str, str]) -> None:
    quota("attempts", 1, **scope)
    for given in (mine, other):
        node = node_of(given["project"], given.get("user", ""))
        Execution.objects.filter(pk=node.execution_id).update(domain=given.get("domain", "development"))
        attempts("", 2, node)
    assert len(claim()) == 3


def test_a_launch_plan_has_a_quota_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    Project.objects.create(identifier="p")
    node, other = node_of("p"), node_of("p")
    plan = LaunchPlan.objects.create(
        project="p", domain="development", name="train", version="1", spec=b"", closure=b"", digest=b"",
        workflow=node.execution.workflow,
    )  # fmt: skip
    Execution.objects.filter(pk__in=[node.execution_id, other.execution_id]).update(domain="development")
    Execution.objects.filter(pk=node.execution_id).update(launch_plan=plan)
    with pytest.raises(Exception, match="no launch plan p/development/train"):
        quota("attempts", 1, "p", domain="development", launch_plan="train")
    monkeypatch.setattr(quotas, "_check_scope", lambda scope, resource: None)
    quota("attempts", 1, "p", domain="development", launch_plan="train")
    attempts("", 3, node)
    attempts("", 3, other)
    assert len(claim()) == 4


def test_projects_take_turns_and_executions_item_by_item() -> None:
    quota("attempts", 4)
    quota("weight", 3, "a")
    many, few = node_of("a"), node_of("a")
    attempts("", 50, many)
    attempts("", 2, few)
    attempts("b", 50)
    taken = claim()
    assert by_project(taken) == {"a": 3, "b": 1}
    assert Counter(row.node_id for row in taken)[few.pk] == 1


def test_priority_goes_first() -> None:
    quota("attempts", 1)
    attempts("a", 3)
    (urgent,) = attempts("b", priority=10)
    assert [row.pk for row in claim()] == [urgent.pk]


def test_the_machine_is_packed_as_ever_and_what_it_cannot_run_ends() -> None:
    quota("gpu", 9, "p")
    machine = Resources(cpu=2, memory=4 << 30)
    attempts("p", 3, resources={"cpu": 1})
    (large,) = attempts("p", resources={"cpu": 4})
    (waits,) = attempts("p", resources={"cpu": 2})
    TaskExecution.objects.update(created_at=now() - timedelta(seconds=5))
    packing = MachinePacking(machine, machine, now=now())
    claimed = claims.claim("local", "one", packing, now=now())
    assert [row.resources["cpu"] for row in claimed.rows] == [1, 1] and claimed.more
    large.refresh_from_db()
    assert large.phase == AttemptPhase.FAILED
    waits.refresh_from_db()
    assert waits.reason == "waiting for cpu 2"


def test_a_quota_below_what_runs_stops_nothing_and_lets_nothing_start() -> None:
    attempts("p", 3)
    running = claim()
    assert len(running) == 3
    quota("attempts", 1, "p")
    attempts("p", 1)
    assert claim() == []
    assert TaskExecution.objects.filter(phase__in=HELD).count() == 3
    end(running[:2])
    assert claim() == []
    end(running[2:])
    assert len(claim()) == 1


def test_attempts_of_an_older_release_get_their_lanes() -> None:
    attempts("p", 2, lane=None)
    held = claim()
    quota("attempts", 3, "p")
    attempts("p", 4, lane=None)
    assert len(held) == 2 and len(claim()) == 1
    assert not TaskExecution.objects.filter(lane=None).exists()
    Lane.objects.all().delete()  # as after a restored backup of only some tables
    assert claim() == []


def test_it_takes_as_many_steps_whatever_waits(django_assert_num_queries: Any) -> None:
    quota("attempts", 1, "a")
    attempts("a", 1)
    claim()
    for project in ("a", "b"):
        attempts(project, 30)
    claim(most=1)  # lanes are known now
    with django_assert_num_queries(2 + 5):  # savepoint; candidates, what is held, lines, rows, the move
        assert len(claim(most=5)) == 5


@pytest.mark.django_db(transaction=True)
def test_executors_at_once_never_exceed_a_quota_and_nothing_is_lost() -> None:
    """Eight that claim and end as fast as they can; two projects, one quota each and one of everything."""
    quota("attempts", 5)
    quota("attempts", 3, "a")
    quota("cpu", 4, "b")
    for project, count in (("a", 60), ("b", 60)):
        attempts(project, count, resources={"cpu": 2})
    most: Counter[str] = Counter()
    over: list[str] = []
    stop = threading.Event()

    def work(number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        try:
            while not stop.is_set() and TaskExecution.objects.exclude(phase=AttemptPhase.SUCCEEDED).exists():
                rows = claim(most=chance.randint(1, 4), instance=f"e{number}")
                held = by_project(TaskExecution.objects.filter(phase__in=HELD))
                for project, count in {**held, "": sum(held.values())}.items():
                    most[project] = max(most[project], count)
                if held["a"] > 3 or held["b"] > 2 or sum(held.values()) > 5:
                    over.append(str(held))
                end(rows)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    stop.set()
    assert over == []
    assert TaskExecution.objects.filter(phase=AttemptPhase.SUCCEEDED).count() == 120
    assert most["a"] == 3 and most["b"] == 2


def test_without_quotas_nothing_is_asked_besides(django_assert_num_queries: Any) -> None:
    attempts("a", 2)
    with django_assert_num_queries(3):  # candidates, rows, the move
        assert len(claim()) == 2
    assert connection.in_atomic_block
