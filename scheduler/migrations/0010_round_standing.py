from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0009_secrets")]

    operations = [migrations.AddField("triggerround", "standing", models.JSONField(default=dict))]
