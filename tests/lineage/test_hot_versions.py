from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lineage.queries import one_hop
from tests.artifacts.publishing import published


@pytest.mark.django_db
def test_the_newest_uses_of_a_version_are_read_in_the_order_of_an_index() -> None:
    """A base dataset that 100,000 executions used is shown as fast as another."""
    version = published("base")
    with CaptureQueriesContext(connection) as queries:
        one_hop(version)
    (near,) = [query["sql"] for query in queries if 'FROM "lineage_versionedge"' in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {near}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "version_edge_recent" in plan and "Sort" not in plan, plan
