"""Databases of the days in which migrations were still rewritten: made to look as if today's had made them.

Three of a data directory's possible pasts are not a beginning of today's chain of migrations. In each the tables are
there, or nearly, under another migration's name. Migrations are frozen now (docs/decisions/migrations.md), so there
will be no fourth.
"""

from __future__ import annotations

from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

_DERIVATIONS = """
    INSERT INTO lineage_derivation (source_id, target_id)
    SELECT DISTINCT consumed.version_id, produced.version_id
    FROM lineage_versionedge AS produced
    JOIN lineage_versionedge AS consumed ON consumed.execution_key = produced.execution_key
        AND consumed.role = 'consumed' AND consumed.version_id < produced.version_id
    WHERE produced.role = 'produced'
    UNION
    SELECT same_data_as_id, id FROM artifacts_artifactversion WHERE same_data_as_id < id
    ON CONFLICT DO NOTHING
"""


def prepare() -> None:
    """Before `migrate`. Changes nothing in a database that today's migrations made, or none."""
    if "django_migrations" not in connection.introspection.table_names():
        return
    applied = set(MigrationRecorder(connection).applied_migrations())
    if ("lineage", "0002_complete") in applied:
        _lineage(complete=("lineage", "0003_derivations") in applied)
    if ("scheduler", "0002_complete") in applied:
        _notifications()


def _lineage(*, complete: bool) -> None:
    """Commits 8cfbe2d to 0180664: two migrations, of which one became the other's end; the first without `facts`."""
    call_command("migrate", "artifacts", "0002_complete", verbosity=0, interactive=False)
    recorder = MigrationRecorder(connection)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lineage_runevent ADD COLUMN IF NOT EXISTS facts jsonb NOT NULL DEFAULT '{}'")
        cursor.execute("ALTER TABLE lineage_runevent ALTER COLUMN facts DROP DEFAULT")
        if not complete:
            cursor.execute(_DERIVATIONS)
        recorder.record_unapplied("lineage", "0002_complete")
        recorder.record_unapplied("lineage", "0003_derivations")
        recorder.record_applied("lineage", "0002_derivations")


def _notifications() -> None:
    """Commits 39b6175 to 9ddab65: the second migration of the scheduler had no notifications yet."""
    if "scheduler_notification" in connection.introspection.table_names():
        return
    state = MigrationLoader(connection).project_state(("scheduler", "0002_complete"))
    with connection.schema_editor(atomic=True) as editor:
        for name in ("Subscription", "Notification"):
            editor.create_model(state.apps.get_model("scheduler", name))
