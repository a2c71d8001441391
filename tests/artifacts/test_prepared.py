from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from artifacts import prepared as prepared_module
from artifacts.models import Artifact
from artifacts.prepared import prepared

ASKED = "SELECT name FROM artifacts_artifact WHERE project = %s::text"


def ask(project: str) -> list[Any]:
    with prepared() as cursor:
        cursor.execute(ASKED, [project])
        return list(cursor.fetchall())


def plans() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = %s",
            [ASKED.replace("%s", "$1")],
        )
        return list(cursor.fetchall())


@pytest.mark.django_db
def test_a_statement_is_planned_once_in_a_session() -> None:
    Artifact.objects.create(project="p", domain="d", name="n")
    before = plans() or [(0, 0)]
    assert [ask("p"), ask("q"), ask("p")] == [[("n",)], [], [("n",)]]
    assert plans() == [(before[0][0] + 3, 0)]


@pytest.mark.django_db
def test_it_counts_and_fails_as_any_other(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        ask("p")
    insert = "INSERT INTO artifacts_artifact (project) VALUES (%s::text)"
    with pytest.raises(IntegrityError), transaction.atomic(), prepared() as cursor:
        cursor.execute(insert, ["p"])


@pytest.mark.django_db(transaction=True)
def test_a_new_session_plans_anew() -> None:
    ask("p")
    connection.close()
    assert (plans(), ask("p")) == ([], [])


def reading() -> list[str]:
    """How the session would carry it out."""
    (name,) = (one[0] for one in prepared_now())
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN EXECUTE {name}('p')")
        return [str(line) for (line,) in cursor.fetchall()]


def prepared_now() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements WHERE statement = %s", [ASKED.replace("%s", "$1")])
        return list(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_a_plan_made_for_an_empty_table_does_not_outlive_its_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    with connection.cursor() as cursor:
        # Of other tests' rows, too, no page is left, and nothing is known.
        cursor.execute("VACUUM artifacts_artifact")
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'artifacts_artifact'::regclass")
    ask("p")
    assert "Seq Scan" in reading()[0]
    Artifact.objects.bulk_create(Artifact(project=f"p{n}", domain="d", name="n") for n in range(5000))
    ask("p")
    assert "Seq Scan" in reading()[0]
    monkeypatch.setattr(prepared_module, "BELIEVED", 0.0)
    ask("p")
    assert "Seq Scan" not in " ".join(reading())
