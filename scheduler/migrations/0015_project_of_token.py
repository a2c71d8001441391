"""The one project that a token was good for by which something was launched or activated: it leads to no other."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0014_attempt_cluster")]

    operations = [
        migrations.AddField(model, name, models.CharField(blank=True, default="", max_length=64))
        for model, name in (
            ("execution", "principal_project"),
            ("trigger", "activated_project"),
            ("schedule", "activated_project"),
        )
    ]
