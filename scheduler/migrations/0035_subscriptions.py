"""Subscriptions to any kind of happening: what was subscribed to becomes kinds, what was told hangs on a happening."""

from __future__ import annotations

from typing import Any

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from scheduler.notifications.signing import seal

KINDS = {
    "SUCCEEDED": "execution.succeeded",
    "FAILED": "execution.failed",
    "ABORTED": "execution.aborted",
    "TIMED_OUT": "execution.timed_out",
    "GATE_WAITING": "gate.waiting",
    "GATE_ESCALATED": "gate.escalated",
    "QUOTA_WARNING": "quota.warned",
    "SERVICE_LEVEL": "level.breached",
    "CHECK_FAILED": "check.failed",
    "ALIAS_FELL_BACK": "alias.fallen_back",
    "ALIAS_STRANDED": "alias.stranded",
}
_CASE = "CASE subject " + " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in KINDS.items()) + " END"

# One happening for each thing that was told, written as handled. `key` finds them again, and stays.
_HAPPENINGS = f"""
    CREATE TEMPORARY TABLE moved_notification ON COMMIT DROP AS
        SELECT id, 'told:' || CASE WHEN execution_id IS NULL THEN 'n' || id
            ELSE md5(execution_id || ' ' || subject || ' ' || signal_id) END AS key
        FROM scheduler_notification WHERE happening_id IS NULL;
    INSERT INTO artifacts_happening
        (kind, at, project, domain, subject, execution_key, name, actor, detail, key, handled_at,
         undone, tries)
    SELECT DISTINCT ON (moved.key) {_CASE}, told.created_at,
        coalesce(run.project, quota.project, ''), coalesce(run.domain, quota.domain, ''),
        left(coalesce(run.project || '/' || run.domain || '/' || run.name
            || CASE WHEN told.signal_id = '' THEN '' ELSE '/' || told.signal_id END, told.said), 700),
        coalesce(run.project || '/' || run.domain || '/' || run.name, ''), told.signal_id, 'system:migration',
        CASE WHEN told.said = '' THEN '{{}}'::jsonb ELSE jsonb_build_object('said', told.said) END,
        moved.key, told.created_at, '{{}}', 0
    FROM scheduler_notification AS told JOIN moved_notification AS moved ON moved.id = told.id
        LEFT JOIN scheduler_execution AS run ON run.id = told.execution_id
        LEFT JOIN scheduler_quota AS quota ON quota.id = told.quota_id
    ORDER BY moved.key, told.id;
    UPDATE scheduler_notification AS told SET happening_id = happening.id
    FROM moved_notification AS moved JOIN artifacts_happening AS happening ON happening.key = moved.key
    WHERE moved.id = told.id;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
"""


def rename_and_seal(apps: Any, editor: Any) -> None:
    model = apps.get_model("scheduler", "Subscription")
    for row in model.objects.all():
        row.kinds = sorted({KINDS.get(name, name) for name in row.kinds})
        row.sealed = seal(row.secret, row.address)
        row.save(update_fields=["kinds", "sealed"])


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0007_retries"),
        ("scheduler", "0034_happening_notifications"),
    ]

    operations = [
        migrations.RenameField("subscription", "subjects", "kinds"),
        migrations.AlterField(
            "subscription",
            "kinds",
            django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), size=None),
        ),
        migrations.AddField("subscription", "owner", models.CharField(blank=True, default="", max_length=150)),
        migrations.AddField("subscription", "artifact", models.CharField(blank=True, default="", max_length=255)),
        migrations.AddField("subscription", "sealed", models.BinaryField(null=True)),
        migrations.AlterField("subscription", "project", models.CharField(blank=True, default="", max_length=64)),
        migrations.AlterField("subscription", "address", models.TextField(blank=True, default="")),
        migrations.AlterField(
            "subscription",
            "channel",
            models.CharField(
                choices=[("email", "Email"), ("webhook", "Webhook"), ("slack", "Slack"), ("console", "Console")],
                max_length=8,
            ),
        ),
        migrations.RunPython(rename_and_seal),
        migrations.RemoveField("subscription", "secret"),
        migrations.AddIndex(
            "subscription",
            models.Index(
                condition=models.Q(("owner", ""), _negated=True),
                fields=["owner", "-created_at", "-id"],
                name="subscription_owner",
            ),
        ),
        migrations.RunSQL(_HAPPENINGS),
        migrations.RemoveConstraint("notification", "notification_once"),
        migrations.RemoveConstraint("notification", "notification_of_happening"),
        *(
            migrations.RemoveField("notification", name)
            for name in ("execution", "quota", "said", "subject", "signal_id")
        ),
        migrations.AddField("notification", "recipient", models.CharField(blank=True, default="", max_length=150)),
        migrations.AddField("notification", "read_at", models.DateTimeField(null=True)),
        migrations.AddField("notification", "log", models.JSONField(default=list)),
        migrations.AlterField("notification", "address", models.TextField(blank=True, default="")),
        migrations.AlterField(
            "notification",
            "channel",
            models.CharField(
                choices=[("email", "Email"), ("webhook", "Webhook"), ("slack", "Slack"), ("console", "Console")],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            "notification",
            "happening",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notifications",
                to="artifacts.happening",
            ),
        ),
        migrations.AlterField(
            "notification",
            "subscription",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="notifications",
                to="scheduler.subscription",
            ),
        ),
        migrations.AddConstraint(
            "notification",
            models.UniqueConstraint(
                fields=("happening", "channel", "recipient", "address"), name="notification_once"
            ),
        ),
        migrations.AddIndex(
            "notification",
            models.Index(
                condition=models.Q(("channel", "console")), fields=["recipient", "-id"], name="notification_bell"
            ),
        ),
        migrations.AddIndex(
            "notification",
            models.Index(
                condition=models.Q(("subscription__isnull", False)),
                fields=["subscription", "-created_at", "-id"],
                name="notification_log",
            ),
        ),
    ]
