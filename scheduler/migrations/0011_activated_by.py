from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0010_round_standing")]

    operations = [
        migrations.AddField("trigger", "activated_by", models.CharField(blank=True, default="", max_length=150)),
        migrations.AddField("schedule", "activated_by", models.CharField(blank=True, default="", max_length=150)),
    ]
