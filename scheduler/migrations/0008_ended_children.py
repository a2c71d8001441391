from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Children that ended before are found by the sweep, which looks for parents that were not told."""

    dependencies = [("scheduler", "0007_recovery_by_content")]

    operations = [
        migrations.CreateModel(
            "EndedChild",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("parent_id", models.BigIntegerField()),
                (
                    "child",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="scheduler.execution"
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["parent_id", "id"], name="ended_child_parent")]},
        ),
    ]
