"""Triggers registered before they could watch several artifacts get their one source."""

from __future__ import annotations

from django.db import migrations

_SOURCES = """
    INSERT INTO scheduler_triggersource (trigger_id, position, project, domain, name, partitions, active)
    SELECT id, 0, artifact_project, artifact_domain, artifact_name, partitions, active FROM scheduler_trigger
    ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0002_complete")]

    operations = [migrations.RunSQL(_SOURCES, migrations.RunSQL.noop)]
