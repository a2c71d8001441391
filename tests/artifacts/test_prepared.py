from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

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
