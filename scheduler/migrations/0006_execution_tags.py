from __future__ import annotations

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0005_item_claims")]

    operations = [
        migrations.AddField(
            "execution",
            "tags",
            django.contrib.postgres.fields.ArrayField(models.TextField(), blank=True, default=list, size=None),
        ),
        migrations.AddIndex(
            "execution",
            django.contrib.postgres.indexes.GinIndex(condition=~Q(tags=[]), fields=["tags"], name="execution_tags"),
        ),
    ]
