from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """The audit trail has an app of its own; its table stays."""

    dependencies = [("accounts", "0001_initial"), ("audit", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.DeleteModel(name="AuditEvent")], database_operations=[]
        )
    ]
