"""MLflow's tracking server and model registry, with its store in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import requests
from peers import registry
from peers.figures import Act
from peers.place import Place

PINS = ("mlflow==3.17.2", "psycopg2-binary==2.9.13")
MEASURES = ("start", "memory", "versions", "search")
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # no job workers: nothing here is evaluated
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "10",  # connections stay open
}
WORKERS = 4  # its default, and one for each client
REMARKS = {"memory": f"MLflow: {WORKERS} web processes, its default"}
API = "/api/2.0/mlflow"


@contextmanager
def started(place: Place) -> Iterator[None]:
    """One that answers."""
    place.settings |= SETTINGS
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(place.port), "--workers", str(WORKERS)]
    command += ["--backend-store-uri", place.database("postgresql+psycopg2")]
    place.start(*command, "--artifacts-destination", str(place.home / "artifacts"))
    place.wait_for("/health")
    place.wait_for("/")
    yield


def acts(place: Place) -> dict[str, Act]:
    for number in range(registry.CLIENTS):
        body = {"name": f"bench-{number}"}
        requests.post(f"{place.url}{API}/registered-models/create", json=body, timeout=60).raise_for_status()
    return registry.acts(place.url, {}, version, found, place.sizes)


def version(tag: str, number: int, asked: int) -> tuple[str, Any]:
    tags = [{"key": "ticket", "value": f"{tag}-{number}-{asked}"}]
    body = {"name": f"bench-{number}", "source": f"s3://models/{number}/{asked}", "tags": tags}
    return f"{API}/model-versions/create", body


def found(tag: str) -> str:
    return f"{API}/model-versions/search?{urlencode({'filter': f'tags.ticket = {tag!r}'})}"
