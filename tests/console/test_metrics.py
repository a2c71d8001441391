"""`/metrics` and the page of figures: who may read them, and that what they say is so."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from flyteidl.core import execution_pb2
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from artifacts.models import ArtifactVersion
from console import figures
from console.accounts import tokens
from console.accounts.models import Role, RoleBinding, User
from scheduler import figures as counting
from scheduler.heartbeat import report_alive
from scheduler.models import ExecutorInstance, Figure, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, Machine
from scheduler.sweep import sweep_all
from tests.console.pages.cast import make_world
from tests.console.rest.rows import make_attempt, make_event, make_execution, make_node
from tests.transactions import read_on

ROOT = Path(__file__).resolve().parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create(username="root", is_superuser=True, is_staff=True)


def bearer(user: User, *scopes: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {tokens.create(user, 't', scopes=scopes)[1]}"}


def read(client: Client, **headers: str) -> Samples:
    response = client.get("/metrics", **headers)  # type: ignore[arg-type]
    assert response.status_code == 200, response.content
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def failed(code: str) -> bytes:
    return execution_pb2.ExecutionError(code=code, message="m" * 300).SerializeToString()


def test_it_tells_strangers_nothing(client: Client, db: None, settings: Settings, valkey: redis.Redis) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer cwy_no").status_code == 401
    assert client.get("/metrics", HTTP_AUTHORIZATION="Basic eA==").status_code == 401
    settings.CAUSEWAY_METRICS = "open"
    assert client.get("/metrics").status_code == 200
    assert client.post("/metrics").status_code == 405


def test_it_takes_a_token_that_is_good_for_nothing_else(client: Client, root: User, valkey: redis.Redis) -> None:
    header = bearer(root, "metrics")
    assert client.get("/metrics", **header).status_code == 200  # type: ignore[arg-type]
    assert client.get("/api/v1/projects", **header).json()["results"] == []  # type: ignore[arg-type]
    assert client.get("/metrics", **bearer(root, "read")).status_code == 403  # type: ignore[arg-type]
    assert client.get("/metrics", **bearer(root)).status_code == 200  # type: ignore[arg-type]


def test_it_is_for_administrators_of_everything(client: Client, db: None, valkey: redis.Redis) -> None:
    ada = User.objects.create(username="ada")
    RoleBinding.objects.create(user=ada, role=Role.ADMIN, project="demo")
    client.force_login(ada)
    assert client.get("/metrics").status_code == 403
    assert client.get("/figures/").status_code == 403
    RoleBinding.objects.create(user=ada, role=Role.ADMIN)
    assert client.get("/metrics").status_code == 200
    assert client.get("/figures/").status_code == 200


def test_it_counts_what_waits_and_what_is_held(client: Client, root: User, valkey: redis.Redis) -> None:
    now = timezone.now()
    make_execution("e0", phase=ExecutionPhase.SUCCEEDED, ended_at=now, dirty=False)
    node = make_node(make_execution("e1"))
    queued = now - timedelta(seconds=90)
    make_attempt(node, 0, phase=AttemptPhase.QUEUED, created_at=queued)
    make_attempt(node, 1, resources={"cpu": 2.0, "memory": 1024, "at_most": ["gpu"]})
    make_attempt(node, 2, resources={"cpu": 0.5})
    make_attempt(node, 3, phase=AttemptPhase.SUCCEEDED, ended_at=now, handled=True)
    ExecutorInstance.objects.create(name="here", executor="local", capacity={"cpu": 8.0}, started_at=now, seen_at=now)
    report_alive("worker")
    valkey.rpush("causeway-slow", "a message")

    found = read(client, **bearer(root, "metrics"))

    place = (("cluster", ""), ("executor", "local"))
    assert found["causeway_executions", (("phase", "RUNNING"),)] == 1
    assert ("causeway_executions", (("phase", "SUCCEEDED"),)) not in found
    assert found["causeway_attempts", (*place, ("phase", "QUEUED"))] == 1
    assert found["causeway_attempts", (*place, ("phase", "RUNNING"))] == 2
    assert 80 <= found["causeway_oldest_queued_seconds", place] < 120
    assert found["causeway_executor_asked", (*place, ("resource", "cpu"))] == 2.5
    assert found["causeway_executor_capacity", (*place, ("resource", "cpu"))] == 8
    assert found["causeway_up", (("part", "workers"),)] == 1
    assert found["causeway_up", (("part", "slow"),)] == 0
    assert found["causeway_broker_messages", (("queue", "causeway-slow"),)] == 1
    assert found["causeway_late_work", (("what", "executions"),)] == 1  # dirty since 2026-05


def test_it_says_that_the_broker_does_not_answer(client: Client, root: User, silent_broker: None) -> None:
    found = read(client, **bearer(root, "metrics"))
    assert found["causeway_up", (("part", "broker"),)] == 0
    assert found["causeway_up", (("part", "database"),)] == 1
    assert ("causeway_broker_answer_seconds", ()) not in found


@pytest.mark.django_db(transaction=True)
def test_it_counts_every_event_once(client: Client, valkey: redis.Redis) -> None:
    root = User.objects.create(username="root", is_superuser=True)
    counting.count_events()
    now = timezone.now()
    execution = make_execution("e1", phase=ExecutionPhase.FAILED, ended_at=now)
    node = make_node(execution)
    codes = ["USER:ValueError", "RetriesExhausted|OOMKilled", "strange {code}"]
    for number, code in enumerate(codes):
        attempt = make_attempt(
            node, number, phase=AttemptPhase.FAILED, error=failed(code), created_at=now, ended_at=now, handled=True
        )
        at = now + timedelta(seconds=0.3)
        make_event(execution, Machine.ATTEMPT, attempt.pk, from_phase=1, to_phase=2, at=at)
        make_event(execution, Machine.ATTEMPT, attempt.pk, from_phase=2, to_phase=2, at=at)  # a new reason
        make_event(execution, Machine.ATTEMPT, attempt.pk, from_phase=2, to_phase=5, at=at)
    make_event(execution, Machine.EXECUTION, execution.pk, from_phase=5, to_phase=6, at=now)

    assert read_on(counting.count_events) == 10
    assert read_on(counting.count_events) == 0
    found = read(client, **bearer(root, "metrics"))

    assert found["causeway_executions_ended_total", (("phase", "FAILED"),)] == 1
    ended = {dict(labels)["code"]: n for (name, labels), n in found.items() if name == counting.ATTEMPTS}
    assert ended == {"USER": 1, "OOMKilled": 1, "other": 1}
    buckets = {dict(labels)["le"]: n for (name, labels), n in found.items() if name == f"{counting.QUEUED}_bucket"}
    assert (buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (0, 3, 3)
    assert found[f"{counting.QUEUED}_sum", (("executor", "local"),)] == pytest.approx(0.9)


@pytest.mark.django_db(transaction=True)
def test_it_leaves_out_no_event_that_is_committed_late() -> None:
    """A number is given out before its transaction ends; those after it must not be taken for all there are."""
    import psycopg

    wanted = connection.get_connection_params()
    wanted.pop("cursor_factory", None)
    wanted.pop("context", None)
    counting.count_events()
    execution = make_execution("e1")
    event = (
        "INSERT INTO scheduler_phaseevent (execution_id, machine, object_id, from_phase, to_phase, at, reason, actor)"
        " VALUES (%s, 'execution', %s, 2, 4, now(), '', '')"
    )
    with psycopg.connect(**wanted) as other:
        other.execute(event, [execution.pk, execution.pk])
        make_event(execution, Machine.EXECUTION, execution.pk, from_phase=2, to_phase=4)
        for _ in range(3):
            counting.count_events()
        assert not Figure.objects.filter(name=counting.EXECUTIONS).exists()
    read_on(counting.count_events)
    assert Figure.objects.get(name=counting.EXECUTIONS, labels="phase=SUCCEEDED").value == 2


@pytest.mark.django_db(transaction=True)
def test_it_counts_reactions_by_their_latency(settings: Settings, object_store: str) -> None:
    counting.count_events()
    world = make_world()
    firing = world.trains.firings.get()
    firing.latency_ms = 40.0
    firing.save()
    read_on(counting.count_events)
    found = dict(Figure.objects.filter(name=counting.REACTION).values_list("labels", "value"))
    assert found == {"le=0.05": 1, "sum=1": pytest.approx(0.04)}


@pytest.mark.django_db
def test_a_sweep_that_had_to_help_is_counted(settings: Settings, object_store: str, valkey: redis.Redis) -> None:
    world = make_world()
    long_ago = timezone.now() - timedelta(minutes=1)
    ArtifactVersion.objects.update(triggers_evaluated_at=timezone.now())
    ArtifactVersion.objects.filter(pk=world.model.pk).update(triggers_evaluated_at=None, created_at=long_ago)
    sweep_all()
    sweep_all()  # finds nothing any more
    assert Figure.objects.get(name=counting.SWEPT, labels="what=versions").value == 1


@pytest.mark.django_db
def test_many_codes_become_one() -> None:
    Figure.objects.bulk_create(
        Figure(name=counting.ATTEMPTS, labels=f"phase=FAILED,executor=local,code=c{n}") for n in range(100)
    )
    found = counting._by_code([(5, "local", "c7", 2), (5, "local", "new", 1), (5, "local", "newer", 1)])
    assert found == {"phase=FAILED,executor=local,code=c7": 2, "phase=FAILED,executor=local,code=other": 2}


@pytest.mark.django_db
def test_the_page_says_the_same_to_people(root: User, valkey: redis.Redis) -> None:
    make_attempt(make_node(make_execution("e1")), 0, phase=AttemptPhase.QUEUED)
    client = Client()
    client.force_login(root)
    text = client.get("/figures/").content.decode()
    assert "broker answers" in text and "executor does not answer" in text
    assert "local, QUEUED" in text
    assert 'href="/figures/"' in text


@pytest.mark.django_db
def test_it_asks_as_much_however_much_there_is(client: Client, root: User, valkey: redis.Redis) -> None:
    header = bearer(root, "metrics")
    client.get("/metrics", **header)  # type: ignore[arg-type]
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/metrics", **header)  # type: ignore[arg-type]
    node = make_node(make_execution("e1"))
    TaskExecution.objects.bulk_create(
        TaskExecution(
            node=node,
            name=f"t{n}",
            attempt=n,
            execution_id=node.execution_id,
            created_at=timezone.now(),
            updated_at=timezone.now(),
        )
        for n in range(50)
    )
    with CaptureQueriesContext(connection) as many:
        client.get("/metrics", **header)  # type: ignore[arg-type]
    assert len(few) == len(many)


def test_the_dashboard_asks_for_figures_that_there_are() -> None:
    dashboard = json.loads((ROOT / "docker/grafana.json").read_text())
    asked = {
        re.sub(r"_bucket$", "", name)
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"causeway_\w+", target["expr"])
    }
    assert asked == set(figures.KINDS)
    page = (ROOT / "docs/howto/figures.md").read_text()
    for name in figures.KINDS:
        assert name in page or name.startswith(("causeway_database_", "causeway_broker_")), name
