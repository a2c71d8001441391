"""Of an input when its run began, so that who read a version told of late is found by an index."""

from __future__ import annotations

from django.db import migrations, models

FILL = """
UPDATE lineage_outsideuse AS used SET read_at = coalesce(run.started_at, run.first_at)
FROM lineage_outsiderun AS run WHERE run.id = used.run_id AND used.role = 'input'
"""


class Migration(migrations.Migration):
    dependencies = [("lineage", "0005_outside")]

    operations = [
        migrations.AddField(model_name="outsideuse", name="read_at", field=models.DateTimeField(null=True)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="outsideuse",
            index=models.Index(
                fields=["dataset", "read_at"], name="outside_use_read", condition=models.Q(read_at__isnull=False)
            ),
        ),
    ]
