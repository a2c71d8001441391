from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0003_trigger_sources")]

    operations = [
        migrations.AddField("execution", "task_resources", models.BinaryField(null=True)),
        migrations.CreateModel(
            name="MatchableAttributes",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.SmallIntegerField()),
                ("project", models.CharField(max_length=64)),
                ("domain", models.CharField(blank=True, default="", max_length=64)),
                ("workflow", models.CharField(blank=True, default="", max_length=255)),
                ("attributes", models.BinaryField()),
                ("updated_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("project", "domain", "workflow", "kind"), name="attributes_unique")
                ],
            },
        ),
    ]
