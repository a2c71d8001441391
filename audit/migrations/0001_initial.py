from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table is there since the first migration of the accounts; only who owns it changes."""

    initial = True
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="AuditEvent",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("at", models.DateTimeField(auto_now_add=True, db_index=True)),
                        ("actor", models.CharField(max_length=150)),
                        ("verb", models.CharField(max_length=64)),
                        ("project", models.CharField(blank=True, default="", max_length=64)),
                        ("domain", models.CharField(blank=True, default="", max_length=64)),
                        ("subject", models.CharField(max_length=500)),
                        ("detail", models.JSONField(default=dict)),
                    ],
                    options={"db_table": "accounts_auditevent"},
                )
            ],
            database_operations=[],
        )
    ]
