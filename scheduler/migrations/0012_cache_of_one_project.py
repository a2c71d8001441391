"""Results that executions of one project had put into the cache of another go: each has a cache of its own now."""

from __future__ import annotations

from django.db import migrations

# Outputs lie below `<root>/metadata/<project>/<domain>/<execution>/` of the execution that computed them.
_FOREIGN = """
    DELETE FROM scheduler_cacheentry
    WHERE output_uri <> '' AND position('/metadata/' || project || '/' || domain || '/' IN output_uri) = 0
"""


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0011_activated_by")]

    operations = [migrations.RunSQL(_FOREIGN, migrations.RunSQL.noop)]
