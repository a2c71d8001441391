"""From an execution that nobody has looked at to its attempt in an executor's hands: what the database is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flytekit import task, workflow

from scheduler.advance import take_turn
from scheduler.attempts.claims import Claim, claim
from scheduler.attempts.resources import Resources
from scheduler.executors.packing import MachinePacking, Unbounded
from scheduler.models import ClusterSettings, Quota, TaskExecution, Workflow
from tests.scheduler.driving import start, workflow_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("object_store")]


@task
def step(n: int) -> int:
    return n


@workflow
def one() -> int:
    return step(n=1)


@pytest.fixture
def known() -> Workflow:
    """A workflow that this process has seen, with its lane."""
    workflow = workflow_of(one)
    take_turn(start(workflow).pk)
    TaskExecution.objects.all().delete()
    return workflow


def sent_by(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        act()
    return [" ".join(query["sql"].split()) for query in queries.captured_queries]


def take(packing: Any) -> Claim:
    return claim("local", "one", packing, now=datetime.now(timezone.utc))


def beginnings(sent: list[str]) -> list[str]:
    return [sql.partition(" ")[0] for sql in sent]


def test_a_first_turn_locks_and_asks_then_writes_nodes_attempts_and_the_execution(known: Workflow) -> None:
    now = datetime.now(timezone.utc)
    ClusterSettings.objects.create(name="far", description={}, created_at=now, updated_at=now)  # it is looked at
    execution = start(known)
    sent = sent_by(lambda: take_turn(execution.pk))
    assert beginnings(sent) == ["BEGIN", "WITH", "INSERT", "INSERT", "WITH", "COMMIT"], "\n".join(sent)


def test_a_claim_looks_reads_what_it_takes_and_moves_it(known: Workflow) -> None:
    for _ in range(3):
        take_turn(start(known).pk)
    claims: list[Claim] = []
    sent = sent_by(lambda: claims.append(take(Unbounded(2))))
    assert beginnings(sent) == ["SELECT", "SELECT", "WITH"], "\n".join(sent)
    assert len(claims[0].rows) == 2 and claims[0].more


def test_where_nothing_is_queued_it_looks_once() -> None:
    assert len(sent_by(lambda: take(Unbounded(9)))) == 1
    now = datetime.now(timezone.utc)
    Quota.objects.create(scope="everything", resource="cpu", limit=1.0, created_at=now, updated_at=now)
    assert len(sent_by(lambda: take(Unbounded(9)))) == 1


def test_what_has_to_wait_is_said_in_one_transaction_with_what_is_taken(known: Workflow) -> None:
    for _ in range(2):
        take_turn(start(known).pk)
    later = datetime.now(timezone.utc) + timedelta(minutes=1)
    room, machine = Resources(cpu=1, memory=2**30), Resources(cpu=4, memory=2**30)
    sent = sent_by(lambda: take(MachinePacking(room, machine, now=later, default_cpu=1)))
    assert beginnings(sent) == ["SELECT", "BEGIN", "SELECT", "WITH", "UPDATE", "COMMIT"], "\n".join(sent)
    assert sorted(TaskExecution.objects.values_list("phase", "reason")) == [(1, "waiting for cpu 1"), (6, "")]
