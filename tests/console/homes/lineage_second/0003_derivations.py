"""What is recorded as of now: every output of an execution came of all that it had taken in before."""
from __future__ import annotations

from django.db import migrations

FROM_EDGES = """
INSERT INTO lineage_derivation (source_id, target_id)
SELECT DISTINCT consumed.version_id, produced.version_id
FROM lineage_versionedge AS produced
JOIN lineage_versionedge AS consumed ON consumed.execution_key = produced.execution_key
    AND consumed.role = 'consumed' AND consumed.version_id < produced.version_id
WHERE produced.role = 'produced'
ON CONFLICT DO NOTHING
"""
FROM_SAME_DATA = """
INSERT INTO lineage_derivation (source_id, target_id)
SELECT same_data_as_id, id FROM artifacts_artifactversion WHERE same_data_as_id < id
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("lineage", "0002_complete")]

    operations = [
        migrations.RunSQL(FROM_EDGES, migrations.RunSQL.noop),
        migrations.RunSQL(FROM_SAME_DATA, migrations.RunSQL.noop),
    ]
