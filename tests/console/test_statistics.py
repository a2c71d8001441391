from __future__ import annotations

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from console import statistics


def estimated(condition: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT json) SELECT FROM measured WHERE {condition}")
        return int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"])


@pytest.fixture
def measured(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE measured AS SELECT n, 'value ' || n % 10 AS said FROM generate_series(1, 20000) n")
        cursor.execute("ANALYZE measured")


def test_the_planner_knows_columns_that_a_migration_added_or_changed(measured: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE measured ADD COLUMN gone_at timestamptz")
        cursor.execute("ALTER TABLE measured ALTER COLUMN said TYPE varchar(200)")
    assert estimated("gone_at IS NULL") < 1_000, "one in two hundred, by guess"
    assert "measured" in statistics.complete()
    assert estimated("gone_at IS NULL") == 20_000
    assert estimated("said = 'value 1'") == 2_000
    assert statistics.complete() == [], "all is known"


def test_what_is_known_already_and_small_tables_are_left_alone(measured: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE small AS SELECT n FROM generate_series(1, 20) n")
        cursor.execute("ANALYZE small")
        cursor.execute("ALTER TABLE small ADD COLUMN gone_at timestamptz")
    assert not {"measured", "small"} & set(statistics.complete())


def test_starting_looks_for_them_after_migrating(measured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE measured ADD COLUMN gone_at timestamptz")
    monkeypatch.setattr("console.management.commands.bootstrap.settle_store", lambda: None)
    call_command("bootstrap", no_static=True, no_token=True, verbosity=0)
    assert estimated("gone_at IS NULL") == 20_000


def test_a_table_that_cannot_be_analysed_keeps_none_from_starting(
    measured: None, caplog: pytest.LogCaptureFixture
) -> None:
    function = "CREATE OR REPLACE FUNCTION shown(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN {}; END'"
    with connection.cursor() as cursor:
        cursor.execute(function.format("RETURN $1"))
        cursor.execute("CREATE INDEX ON measured (shown(n))")
        cursor.execute(function.format("RAISE ''out of order''"))
        cursor.execute("ALTER TABLE measured ADD COLUMN gone_at timestamptz")
    assert statistics.complete() == ["measured"]
    assert "out of order" in caplog.text


def test_nobody_waits_for_who_works_on_a_table(transactional_db: None) -> None:
    statistics.complete()  # what other tests left large
    with connection.cursor() as cursor, psycopg.connect(**connection.get_connection_params()) as other:
        cursor.execute("CREATE TABLE measured AS SELECT n FROM generate_series(1, 20000) n")
        try:
            other.execute("LOCK TABLE measured IN SHARE UPDATE EXCLUSIVE MODE")  # as a vacuum does
            cursor.execute("SET lock_timeout = '100ms'")
            assert statistics.complete() == ["measured"]
            other.rollback()
            assert statistics.complete() == ["measured"], "it is left to the next start"
            assert statistics.complete() == []
        finally:
            other.rollback()
            cursor.execute("SET lock_timeout = DEFAULT; DROP TABLE measured")
