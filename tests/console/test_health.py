"""`/healthz` and `/readyz`."""

from __future__ import annotations

import errno
from datetime import timedelta

import pytest
import redis
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from artifacts.store import LocalStore, ObjectStore
from console import health
from scheduler import wake
from scheduler.heartbeat import report_alive
from scheduler.models.executor import ExecutorInstance

NAMES = {"database", "broker", "object_store", "workers", "slow", "executor"}


def an_executor(seconds_ago: float = 0) -> None:
    seen = timezone.now() - timedelta(seconds=seconds_ago)
    ExecutorInstance.objects.create(name="here", executor="local", started_at=seen, seen_at=seen)


def test_it_says_that_the_process_is_up(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.django_db
def test_it_is_ready_when_every_part_answers(client: Client, valkey: redis.Redis, object_store: str) -> None:
    report_alive("worker")
    report_alive("slow")
    an_executor()
    response = client.get("/readyz")
    assert response.json() == {"status": "ok", "parts": dict.fromkeys(NAMES, "ok")}
    assert response.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(("alive", "missing"), [("slow", "workers"), ("worker", "slow")])
def test_it_names_workers_that_gave_no_sign_of_life(
    client: Client, valkey: redis.Redis, object_store: str, alive: str, missing: str
) -> None:
    an_executor()
    report_alive(alive)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"] == {**dict.fromkeys(NAMES, "ok"), missing: "error"}


@pytest.mark.django_db
def test_it_names_an_executor_that_fell_silent(client: Client, valkey: redis.Redis, object_store: str) -> None:
    report_alive("worker")
    report_alive("slow")
    an_executor(seconds_ago=60)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"] == {**dict.fromkeys(NAMES, "ok"), "executor": "error"}


@pytest.mark.django_db
def test_it_names_a_broker_that_is_down(client: Client, settings: Settings, object_store: str) -> None:
    settings.WAKE_URL = "unix:///nowhere/valkey.sock"
    wake.broker.cache_clear()
    try:
        response = client.get("/readyz")
    finally:
        wake.broker.cache_clear()
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert parts["broker"] == parts["workers"] == parts["slow"] == "error"
    assert parts["database"] == parts["object_store"] == "ok"
    assert "nowhere" not in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_it_names_a_store_that_takes_nothing(
    client: Client, valkey: redis.Redis, object_store: str, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    """Reading still works there."""
    report_alive("worker")
    report_alive("slow")
    an_executor()

    def full(self: LocalStore, uri: str, data: bytes) -> None:
        raise OSError(problem, "it cannot be written")

    monkeypatch.setattr(health, "PROBE_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "put", full)
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"] == {**dict.fromkeys(NAMES, "ok"), "object_store": "error"}
    assert client.get("/readyz").json()["parts"]["object_store"] == "ok"


@pytest.mark.django_db
def test_it_writes_to_the_store_now_and_then_however_often_it_is_asked(
    client: Client, valkey: redis.Redis, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(LocalStore, "put", lambda self, uri, data: written.append(uri))
    for _ in range(3):
        client.get("/readyz")
    assert written == [f"{object_store}/{health.PROBE}"]


@pytest.mark.django_db
def test_it_probes_a_bucket_too(
    client: Client, valkey: redis.Redis, s3_store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CAUSEWAY_STORE_URL = s3_store.root
    assert client.get("/readyz").json()["parts"]["object_store"] == "ok"
    assert s3_store.exists(f"{s3_store.root}/{health.PROBE}")
    settings.CAUSEWAY_STORE_URL = "s3://no-such-bucket/prefix"
    assert client.get("/readyz").json()["parts"]["object_store"] == "error"
