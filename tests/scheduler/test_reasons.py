"""What is asked of the database for "why", where much led to something."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lineage.walks import nodes_of
from scheduler.reasons import versions
from scheduler.reasons.steps import Reader
from tests.artifacts.governance.making import model

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", [3, 101, 300])
def test_what_happened_is_found_by_indexes_however_many_executions_led_to_it(number: int) -> None:
    pk = model("v1", auc=0.9).pk
    reader = Reader(nodes_of([pk]), {}, lambda project, domain: True)
    keys = [f"flytesnacks/development/e{each}" for each in range(number)]
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as queries:
        list(versions.happened(reader, [pk], keys))
        [asked] = [query["sql"] for query in queries]
        # Of the few rows here the cheapest is to walk all, or the primary key, as soon as statistics say how few
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        cursor.execute(f"EXPLAIN {asked}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan on artifacts_happening" not in plan and "happening_execution" in plan, plan
