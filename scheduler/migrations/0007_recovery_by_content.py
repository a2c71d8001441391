from __future__ import annotations

import django.contrib.postgres.indexes
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0006_execution_tags")]

    operations = [
        migrations.AddField("nodeexecution", "fingerprint", models.CharField(blank=True, default="", max_length=48)),
        migrations.AddField("nodeexecution", "recovered_from", models.BigIntegerField(null=True)),
        migrations.AddIndex(
            "nodeexecution",
            models.Index(
                condition=Q(parent__isnull=False), fields=["execution", "fingerprint"], name="node_fingerprint"
            ),
        ),
        migrations.AddIndex(
            "cacheentry",
            django.contrib.postgres.indexes.HashIndex(
                condition=~Q(output_uri=""), fields=["output_uri"], name="cache_outputs"
            ),
        ),
        migrations.AddField("gate", "taken", models.BooleanField(default=False)),
    ]
