"""Connections on their way to an attempt: which of its fields a task gets under which names, and what is masked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from causeway.connections import connection
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument
from audit.models import AuditEvent
from scheduler.actions.connections import Wanted, remove_connection, reseal, set_connection
from scheduler.actions.secrets import set_secret
from scheduler.attempts.judge import Showing
from scheduler.models import Connection, Execution, Project
from scheduler.secrets.lookup import SecretNotSet, mounts_for
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Name, Request
from tests.scheduler.attempts import make_attempt, make_node

pytestmark = pytest.mark.django_db
PASSWORD = "pa/ss w0rd"
STORE = Wanted(
    kind="postgresql",
    host="db.example.org",
    port=5432,
    user="ada",
    database="sea",
    options={"sslmode": "require", "connect_timeout": 10},
    secrets={"password": PASSWORD},
)


@pytest.fixture(autouse=True)
def projects() -> None:
    for identifier in ("demo", "other"):
        Project.objects.create(identifier=identifier, name=identifier)


def put(wanted: Wanted = STORE, name: str = "warehouse", *, project: str = "demo", domain: str = "") -> Connection:
    return set_connection(name, wanted, project=project, domain=domain, actor="ada")[0]


def given(group: str, key: str = "", *, project: str = "demo", domain: str = "development") -> Mounts:
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project=project, domain=domain)
    return mounts_for(make_attempt(node).pk, [Request(Name(group, key))])


def test_a_task_gets_it_whole_as_the_sdk_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    mounts = given("connection", "warehouse")
    monkeypatch.setenv("_FSEC_CONNECTION_WAREHOUSE", mounts.env["_FSEC_CONNECTION_WAREHOUSE"])
    found = connection("warehouse")
    assert (found.host, found.port, found.options["connect_timeout"]) == ("db.example.org", 5432, 10)
    assert found.password == PASSWORD and PASSWORD not in repr(found)
    assert found.url("postgresql+psycopg") == (
        "postgresql+psycopg://ada:pa%2Fss%20w0rd@db.example.org:5432/sea?connect_timeout=10&sslmode=require"
    )


def test_or_field_by_field_under_flytekits_names() -> None:
    put()
    assert given("connection_warehouse", "password").env == {"_FSEC_CONNECTION_WAREHOUSE_PASSWORD": PASSWORD}
    every = given("CONNECTION_WAREHOUSE")
    assert every.env["_FSEC_CONNECTION_WAREHOUSE_PORT"] == "5432"
    assert every.env["_FSEC_CONNECTION_WAREHOUSE_SSLMODE"] == "require"
    assert every.files["connection_warehouse/url"].startswith(b"postgresql://ada:pa%2Fss%20w0rd@")


def test_only_what_is_secret_of_it_is_masked() -> None:
    put()
    for mounts in (given("connection", "warehouse"), given("connection_warehouse")):
        said = Showing(hidden=mounts.hidden)(f"cannot reach db.example.org:5432 as ada with {PASSWORD} (pa%2Fss+w0rd)")
        assert said == "cannot reach db.example.org:5432 as ada with **** (****)"


def test_the_narrowest_place_counts_and_no_other_project_gets_it() -> None:
    put()
    put(Wanted(host="dev.example.org"), domain="development")
    assert given("connection_warehouse", "host").env["_FSEC_CONNECTION_WAREHOUSE_HOST"] == "dev.example.org"
    production = given("connection_warehouse", "host", domain="production")
    assert production.env["_FSEC_CONNECTION_WAREHOUSE_HOST"] == "db.example.org"
    with pytest.raises(SecretNotSet, match=r"connection warehouse, which is set neither for other/development"):
        given("connection", "warehouse", project="other")
    with pytest.raises(SecretNotSet, match="with a field token"):
        given("connection_warehouse", "token")


def test_a_secret_of_that_name_goes_before_it() -> None:
    put()
    set_secret(Name("connection_warehouse", "password"), b"own", project="demo", domain="", actor="ada")
    assert given("connection_warehouse", "password").env["_FSEC_CONNECTION_WAREHOUSE_PASSWORD"] == "own"


def test_secrets_that_are_not_named_stay_and_null_removes_one(settings: Settings) -> None:
    put(Wanted(secrets={"password": PASSWORD, "private_key": "PEM"}))
    row = put(Wanted(host="new.example.org", secrets={"private_key": None}))
    assert (row.host, row.secret_names) == ("new.example.org", ["password"])
    assert PASSWORD.encode() not in bytes(row.sealed)
    settings.CAUSEWAY_SECRETS_KEY = "another key"
    assert reseal() == 1 and reseal() == 0
    assert json.loads(given("connection", "warehouse").env["_FSEC_CONNECTION_WAREHOUSE"])["secrets"] == {
        "password": PASSWORD
    }
    for _ in range(2):  # as two at once do
        remove_connection(row, actor="ada")
    assert AuditEvent.objects.filter(verb="connection.remove").count() == 1
    with pytest.raises(SecretNotSet):
        given("connection", "warehouse")


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("Ware house", {}, "cannot be the name of a connection"),
        ("w", {"host": "h\nh"}, "host: at most 255 characters, on one line"),
        ("w", {"options": {"password": "s3cr3t", "PASSWORD": "x"}}, "given twice"),
        ("w", {"options": {"host": "h"}}, "cannot be the name of an option"),
        ("w", {"options": {"a": [1]}}, "must be a text, a number"),
        ("w", {"secrets": {"a b": "s3cr3t"}}, "cannot be the name of a secret"),
        ("w", {"secrets": {"password": ""}}, "from 1 to 65536 bytes"),
        ("w", {"options": {"token": 1}, "secrets": {"Token": "s3cr3t"}}, "share names"),
        ("w", {"port": 70000}, "from 1 to 65535"),
        ("w", {"kind": "postgresql://"}, "the scheme of its address"),
    ],
)
def test_what_cannot_be_is_refused_without_its_secrets(name: str, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as refused:
        put(Wanted(**wanted), name)
    assert "s3cr3t" not in refused.value.message
    assert not Connection.objects.exists()
