from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from scheduler.models import Project

OURS = ("accounts", "artifacts", "audit", "lineage", "scheduler")
# Plain indexes (no condition, no expression, not unique) whose columns another one of their table begins with
COVERED = """
WITH index AS (
    SELECT indrelid AS place, indexrelid AS id, indisunique AS one, string_to_array(indkey::text, ' ') AS columns,
           indclass::oid[] AS ways
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
    WHERE indpred IS NULL AND indexprs IS NULL AND amname = 'btree'
)
SELECT this.place::regclass::text, this.id::regclass::text, other.id::regclass::text
FROM index AS this JOIN index AS other ON other.place = this.place AND other.id <> this.id
WHERE NOT this.one AND other.columns[:cardinality(this.columns)] = this.columns
  AND other.ways[0:cardinality(this.ways) - 1] = this.ways
"""


@pytest.mark.django_db
def test_it_stores_a_project() -> None:
    Project.objects.create(identifier="flytesnacks", name="flytesnacks")
    assert Project.objects.count() == 1


@pytest.mark.django_db
def test_no_index_is_written_that_another_one_already_answers_for() -> None:
    """Each costs every write of its table, and Django makes one of each foreign key (`db_index=False`)."""
    tables = {model._meta.db_table for label in OURS for model in apps.get_app_config(label).get_models()}
    with connection.cursor() as cursor:
        cursor.execute(COVERED)
        found = [(index, other) for table, index, other in cursor.fetchall() if table in tables]
    assert not found


@pytest.mark.django_db(transaction=True)
def test_indexes_that_went_come_back_where_the_migration_is_undone() -> None:
    with connection.cursor() as cursor:
        try:
            call_command("migrate", "artifacts", "0011", verbosity=0)
            cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname = 'artifacts_metric_version_id_again'")
            assert cursor.fetchone() == (1,)
        finally:
            call_command("migrate", verbosity=0)
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname = 'artifacts_metric_version_id_again'")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db(transaction=True)
def test_a_migration_of_indexes_that_was_interrupted_is_done_again() -> None:
    """It is in no transaction: whatever it did before stays, and a build that was broken off leaves its index."""
    later, before = MigrationRecorder(connection), _indexes()
    call_command("migrate", "artifacts", "0012", verbosity=0)  # back, so that what follows is applied after it again
    for app, name in (("scheduler", "0040"), ("artifacts", "0012"), ("accounts", "0008")):
        later.record_unapplied(app, f"{name}_indexes_that_others_cover")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'execution_newest'::regclass")
    call_command("migrate", verbosity=0)
    assert _indexes() == before, "all are there, and each is valid"


def _indexes() -> set[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid FROM pg_index")
        return set(cursor.fetchall())
