"""Who activated the launch plans whose triggers and schedules are active, as far as the audit trail tells."""

from __future__ import annotations

from django.db import migrations

_WHO = """
    UPDATE {table} AS row SET activated_by = told.actor
    FROM (
        SELECT DISTINCT ON (plan.id) plan.id, event.actor
        FROM scheduler_launchplan AS plan
        JOIN accounts_auditevent AS event ON event.verb = 'launch_plan.activate'
            AND event.subject = plan.project || '/' || plan.domain || '/' || plan.name || '@' || plan.version
        WHERE plan.state = 1 ORDER BY plan.id, event.at DESC
    ) AS told
    WHERE row.launch_plan_id = told.id AND row.active AND row.activated_by = ''
"""


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0012_cache_of_one_project"), ("audit", "0001_initial")]

    operations = [
        migrations.RunSQL(_WHO.format(table=table), migrations.RunSQL.noop)
        for table in ("scheduler_trigger", "scheduler_schedule")
    ]
