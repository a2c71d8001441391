from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0006_execution_tags")]

    operations = [migrations.AddField("triggerround", "standing", models.JSONField(default=dict))]
