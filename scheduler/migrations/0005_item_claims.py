from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0004_attributes")]

    operations = [migrations.AddField("cacheentry", "holder_item", models.IntegerField(default=-1))]
