"""The tables of a new database come from a file: they are what the migrations would make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from console import first_tables
from tests.console.test_old_homes import Shape, an_empty_database, shape

_ROWS = (
    "SELECT app, name FROM django_migrations",
    "SELECT app_label, model FROM django_content_type",
    "SELECT codename, model FROM auth_permission JOIN django_content_type AS kind ON kind.id = content_type_id",
    "SELECT viewname, md5(definition) FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    "SELECT polname, polrelid::regclass::text FROM pg_policy",
)


def rows() -> list[set[tuple[str, str]]]:
    found = []
    with connection.cursor() as cursor:
        for query in _ROWS:
            cursor.execute(query)
            found.append(set(cursor.fetchall()))
    return found


def plain(found: Shape) -> Shape:
    """Without casts and parentheses: PostgreSQL spells a list of constants otherwise once it has read its own words."""
    return {tuple(re.sub(r"::(character varying|text)(\[\])?|[()]", "", word) for word in one) for one in found}


@pytest.fixture
def migrated(transactional_db: None) -> tuple[Shape, list[set[tuple[str, str]]]]:
    with an_empty_database():
        call_command("migrate", verbosity=0, interactive=False)
        return shape(), rows()


@pytest.fixture
def empty(migrated: None) -> Iterator[None]:
    if first_tables.server() != 18:
        pytest.skip("the file is for the embedded server's version")
    with an_empty_database():
        yield


def test_the_file_is_of_today_s_migrations() -> None:
    assert first_tables.FILE.read_text().startswith(first_tables.head(18)), "run manage.py write_first_tables"


def test_it_makes_what_migrations_make(migrated: tuple[Shape, list[set[tuple[str, str]]]], empty: None) -> None:
    assert first_tables.make()
    assert plain(shape()) ^ plain(migrated[0]) == set()
    assert rows() == migrated[1]
    call_command("migrate", check_unapplied=True, verbosity=0, interactive=False)  # exits where something is left
    assert connection.introspection.get_sequences(connection.cursor(), "auth_permission")
    with connection.cursor() as cursor:  # what comes next has numbers of its own
        cursor.execute("INSERT INTO django_content_type (app_label, model) VALUES ('a', 'b') RETURNING id")
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'b', now())")


def test_a_database_with_tables_is_for_migrations(migrated: None, empty: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE ours (id int)")
    assert not first_tables.make()
    assert connection.introspection.table_names() == ["ours"]


@pytest.mark.parametrize("change", ["a migration has changed", "another version of the server", "no file"])
def test_a_file_of_another_day_is_for_nothing(
    change: str, migrated: None, empty: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, file = first_tables.FILE.read_text(), tmp_path / "tables.sql"
    if change == "a migration has changed":
        file.write_text(text.replace(first_tables.digest(), "0" * 32))
    elif change == "another version of the server":
        file.write_text(text.replace(first_tables.head(18), first_tables.head(17)))
    monkeypatch.setattr(first_tables, "FILE", file)
    assert not first_tables.make()
    assert connection.introspection.table_names() == []


def test_a_file_that_fails_leaves_an_empty_database(
    migrated: None, empty: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tables.sql"
    file.write_text(first_tables.FILE.read_text() + "SELECT 1 / 0;\n")
    monkeypatch.setattr(first_tables, "FILE", file)
    with pytest.raises(Exception, match="division by zero"):
        first_tables.make()
    assert connection.introspection.table_names() == []
