"""A database that any commit on main left, from the first landing on, becomes what a new one is, with its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from pytest_django import DjangoDbBlocker, Settings

from console import old_homes
from scheduler.models import Notification, Subscription
from scheduler.notifications.signing import secret_of

HOMES = "tests.console.homes"
FIRST, SECOND = {"lineage": f"{HOMES}.lineage_first"}, {"lineage": f"{HOMES}.lineage_second"}
SCHEDULER = {"scheduler": f"{HOMES}.scheduler_first"}
# Commit: what migrations it had that are others today, and how far each app's went. Between these nothing changed.
PASTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "088a4e8": ({}, {}),
    "8cfbe2d": (FIRST, {"lineage": "0003_derivations"}),
    "36223f4": (FIRST, {"lineage": "0003_derivations", "artifacts": "0002_complete"}),
    "978efe3": (SECOND, {"lineage": "0003_derivations", "artifacts": "0002_complete"}),
    "39b6175": (
        {**SECOND, **SCHEDULER},
        {"lineage": "0003_derivations", "artifacts": "0002_complete", "scheduler": "0003_trigger_sources"},
    ),
    "9ddab65": (
        SCHEDULER,
        {"lineage": "0002_derivations", "artifacts": "0002_complete", "scheduler": "0003_trigger_sources"},
    ),
    "eb409bc": ({}, {"lineage": "0002_derivations", "artifacts": "0002_complete", "scheduler": "0003_trigger_sources"}),
    "7a061ab": ({}, {"lineage": "0003_complete", "artifacts": "0002_complete", "scheduler": "0006_execution_tags"}),
}
LAST = "7a061ab"  # the others become what it was, and it alone goes on from there to today
_WHOLE_LAST = [("accounts", "0001_initial"), *PASTS[LAST][1].items()]
NOW = datetime(2026, 11, 21, 4, 24, tzinfo=timezone.utc)

Shape = set[tuple[str, ...]]
_SHAPE = """
    SELECT 'column', table_name, column_name, concat_ws(' ', data_type, character_maximum_length, is_nullable,
        column_default, is_generated) FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n' -- columns say those, with old names
"""


def shape() -> Shape:
    with connection.cursor() as cursor:
        cursor.execute(_SHAPE)
        return set(cursor.fetchall())


@pytest.fixture
def today(transactional_db: None) -> Shape:
    return shape()


@contextmanager
def an_empty_database() -> Iterator[None]:
    """In the place of the tests' own."""
    whole, name = connection.settings_dict["NAME"], f"{connection.settings_dict['NAME']}_past"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    connection.close()
    connection.settings_dict["NAME"] = name
    yield
    connection.close()
    connection.settings_dict["NAME"] = whole
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}"')


@pytest.fixture
def past(today: Shape) -> Iterator[None]:
    with an_empty_database():
        yield


@pytest.fixture(scope="module")
def last(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Shape:
    """What a new database was at the last of those commits."""
    with django_db_blocker.unblock(), an_empty_database():
        of_that_day().migrate(_WHOLE_LAST)
        return shape()


def rows(apps: Any) -> None:
    """A team's first day: somebody, a project, and a version that another was made of."""

    def of(label: str, name: str) -> Any:
        return apps.get_model(label, name).objects

    user = of("accounts", "User").create(username="ann")
    of("accounts", "ApiToken").create(user=user, name="ci", digest="d" * 64)
    of("scheduler", "Project").create(identifier="weather", name="Weather")
    artifact = of("artifacts", "Artifact").create(project="weather", domain="development", name="days")
    fields = {field.name for field in apps.get_model("artifacts", "ArtifactVersion")._meta.get_fields()}
    values = {"published_at": NOW, "created_at": NOW, "literal": b"", "literal_type": b""}
    versions = [
        of("artifacts", "ArtifactVersion").create(
            artifact=artifact, version=f"v{number}", **{name: value for name, value in values.items() if name in fields}
        )
        for number in (1, 2)
    ]
    for version, role in zip(versions, ("consumed", "produced"), strict=True):
        edges = {field.name for field in apps.get_model("lineage", "VersionEdge")._meta.get_fields()}
        more = {name: value for name, value in {"at": NOW, "created_at": NOW}.items() if name in edges}
        of("lineage", "VersionEdge").create(version=version, execution_key="weather/development/e1", role=role, **more)


def of_that_day() -> MigrationExecutor:
    """One that knows nothing of the migrations that replace others since."""
    executor = MigrationExecutor(connection)
    executor.loader = MigrationLoader(connection, replace_migrations=False)
    return executor


def goes_back_to(commit: str, settings: Settings) -> None:
    """The database, with its rows."""
    modules, targets = PASTS[commit]
    settings.MIGRATION_MODULES = modules
    first = dict.fromkeys(("artifacts", "accounts", "lineage", "scheduler"), "0001_initial")
    executor = of_that_day()
    executor.migrate(list(first.items()))
    rows(executor.loader.project_state(list(first.items())).apps)
    executor = of_that_day()
    executor.migrate(list({**first, **targets}.items()))
    settings.MIGRATION_MODULES = {}


@pytest.mark.parametrize("commit", PASTS)
def test_a_home_of_that_commit_is_opened_with_every_row(
    commit: str, today: Shape, last: Shape, past: None, settings: Settings
) -> None:
    goes_back_to(commit, settings)
    for _ in range(2):  # what is prepared already stays as it is
        old_homes.prepare()
        if commit == LAST:
            call_command("migrate", verbosity=0, interactive=False)
        else:
            MigrationExecutor(connection).migrate(_WHOLE_LAST)

    assert shape() == (today if commit == LAST else last)
    with connection.cursor() as cursor:
        cursor.execute("SELECT username, name FROM accounts_user AS u JOIN accounts_apitoken AS t ON t.user_id = u.id")
        assert cursor.fetchall() == [("ann", "ci")]
        cursor.execute("SELECT version FROM artifacts_artifactversion ORDER BY id")
        assert cursor.fetchall() == [("v1",), ("v2",)]
        cursor.execute(
            "SELECT source.version, target.version FROM lineage_derivation AS d"
            " JOIN artifacts_artifactversion AS source ON source.id = d.source_id"
            " JOIN artifacts_artifactversion AS target ON target.id = d.target_id"
        )
        assert cursor.fetchall() == [("v1", "v2")]
        cursor.execute("SELECT count(*) FROM scheduler_notification")
        assert cursor.fetchone() == (0,)


BEFORE_KINDS = {"scheduler": "0034_happening_notifications", "artifacts": "0006_governance"}  # as 3110f46 left it


def test_who_was_told_of_subjects_is_told_of_kinds(today: Shape, past: None) -> None:
    executor = of_that_day()
    first = dict.fromkeys(("artifacts", "accounts", "lineage", "scheduler"), "0001_initial")
    executor.migrate(list({**first, **BEFORE_KINDS, "accounts": "0007_sign_on_and_sessions"}.items()))
    apps = executor.loader.project_state(list(BEFORE_KINDS.items())).apps
    wish = apps.get_model("scheduler", "Subscription").objects.create(
        project="weather",
        subjects=["FAILED", "CHECK_FAILED"],
        channel="webhook",
        address="https://hooks.example.com/x",
        secret="told to nobody",
        created_by="ann",
        created_at=NOW,
    )
    told = {"channel": "webhook", "address": wish.address, "subscription": wish, "created_at": NOW, "next_at": NOW}
    notifications = apps.get_model("scheduler", "Notification").objects
    notifications.create(subject="QUOTA_WARNING", said="weather: 9 of 10 GPU hours", **told)
    happening = apps.get_model("artifacts", "Happening").objects.create(
        kind="check.failed", at=NOW, project="weather", subject="weather/development/days@v1", actor="ann"
    )
    notifications.create(subject="CHECK_FAILED", happening=happening, **told)

    call_command("migrate", verbosity=0, interactive=False)

    assert shape() == today
    kept = Subscription.objects.get()
    assert (kept.kinds, secret_of(kept)) == (["check.failed", "execution.failed"], "told to nobody")
    rows = Notification.objects.order_by("pk").select_related("happening", "subscription")
    assert [(row.happening.kind, row.subscription) for row in rows] == [("quota.warned", kept), ("check.failed", kept)]
    assert rows[0].happening.detail == {"said": "weather: 9 of 10 GPU hours"} and rows[0].happening.handled_at == NOW
