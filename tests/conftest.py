from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from artifacts.store import ObjectStore, open_store
from console.accounts import access, scopes
from console.celery import app as celery_app
from console.supervisor import valkey as valkey_server
from console.supervisor.paths import Home
from scheduler import authority, wake
from tests.stack import RunningStack, running_stack


def _empty_tables(case: TransactionTestCase) -> None:
    """What Django does after a test with transactions of its own, by DELETE: for tables of a few rows, TRUNCATE and the
    permissions made anew take a hundred times as long."""
    kept = {ContentType._meta.db_table, Permission._meta.db_table}
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - kept
    deletes = "".join(f"DELETE FROM {connection.ops.quote_name(table)};" for table in sorted(tables))  # noqa: S608 - our own tables
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica;" + deletes)  # in any order of foreign keys


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[attr-defined]


# flytekit keeps in the user's folder what cached tasks returned, and where it lies: it may be gone since.
os.environ["FLYTE_LOCAL_CACHE_ENABLED"] = "false"

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")


SERVERS = {"db", "transactional_db", "valkey_socket", "s3_endpoint", "stack"}  # fixtures that stand for one


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks a server is told from unit tests by what it uses."""
    for item in items:
        is_case = isinstance(item, pytest.Function) and issubclass(item.cls or object, TransactionTestCase)
        if is_case or item.get_closest_marker("django_db") or SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("server")


@pytest.fixture(autouse=True)
def _no_backoff(settings: Settings) -> None:
    """Failed attempts are repeated at once, unless the test is about waiting. (Not in the processes of a stack.)"""
    settings.CAUSEWAY_RETRY_BACKOFF_SECONDS = 0


@pytest.fixture(autouse=True)
def _actors_without_accounts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests name actors that have no account. Those may everything; who has one may what his roles allow, as it is
    for everybody in tests marked `accounts`."""
    if "accounts" in request.keywords:
        return

    def rights_of(name: str) -> authority.Rights:
        user = access.account(name)
        return lambda action, project, domain: user is None or access.can(user, action, project, domain)

    monkeypatch.setattr(authority, "_rights_of", rights_of)


@pytest.fixture(autouse=True)
def _no_caller() -> None:
    """Whoever called last with a token is forgotten, as at the beginning of every call of a server."""
    scopes.forget_caller()


@pytest.fixture(scope="session")
def valkey_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Valkey of this test run."""
    home = Home(tmp_path_factory.mktemp("valkey"))
    home.make_directories()
    with (home.logs / "valkey.log").open("wb") as log:
        server = subprocess.Popen(valkey_server.arguments(home.valkey_socket), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while not home.valkey_socket.exists():
            assert server.poll() is None and time.monotonic() < deadline, (home.logs / "valkey.log").read_text()
            time.sleep(0.01)
        yield home.valkey_socket
    finally:
        server.terminate()
        server.wait(10)


def _use_broker(url: str) -> None:
    """Point Celery at another broker: it remembers its connections, and forgetting them is only done after a fork."""
    celery_app.conf.update(broker_url=url)
    celery_app._after_fork()  # type: ignore[attr-defined]


@pytest.fixture
def valkey(valkey_socket: Path, settings: Settings) -> Iterator[redis.Redis]:
    """An empty broker that wake-ups and Celery messages go to; the messages are in the list `causeway`."""
    settings.WAKE_URL = f"unix://{valkey_socket}"
    before = str(celery_app.conf.broker_url)
    _use_broker(f"redis+socket://{valkey_socket}")
    wake.broker.cache_clear()
    client = wake.broker()
    client.flushall()
    yield client
    client.close()
    wake.broker.cache_clear()
    _use_broker(before)


@pytest.fixture
def silent_broker(settings: Settings) -> Iterator[None]:
    """Wake-ups and Celery messages go to one that takes connections and never answers."""
    before, options = str(celery_app.conf.broker_url), celery_app.conf.broker_transport_options
    soon = 0.2  # seconds; for those limits only that there are
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.WAKE_URL, settings.WAKE_TIMEOUT = url, soon
        limits = {name: soon for name in options if name.startswith("socket_")}
        celery_app.conf.update(broker_transport_options={**options, **limits})
        _use_broker(url)
        wake.broker.cache_clear()
        yield
    wake.broker.cache_clear()
    celery_app.conf.update(broker_transport_options=options)
    _use_broker(before)


@pytest.fixture
def object_store(tmp_path: Path, settings: Settings) -> str:
    """The root URL of an empty object store."""
    settings.CAUSEWAY_STORE_URL = str(tmp_path / "objects")
    return str(settings.CAUSEWAY_STORE_URL)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server, for all of this run."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_store(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty store in a bucket of that server."""
    for name, value in {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    opened = open_store("s3://bucket/some/prefix")
    opened.client.create_bucket(Bucket="bucket")  # type: ignore[attr-defined]
    for stored in opened.list(opened.root):
        opened.delete(stored.uri)
    return opened


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole of Causeway in real processes, one for all end-to-end tests of this run."""
    with running_stack(tmp_path_factory.mktemp("stack") / "home") as running:
        yield running
