from django.db import migrations

# What versions and edges name an execution by, so that SQL views (console/sqlviews) join them by an index. The columns
# stay as they are: nothing of Causeway's own asks by it.
_MAKE = """
    CREATE INDEX execution_key
    ON scheduler_execution (((((project::text || '/') || domain::text) || '/') || name::text))
"""


class Migration(migrations.Migration):
    dependencies = [("scheduler", "0022_figures")]

    operations = [migrations.RunSQL(_MAKE, "DROP INDEX execution_key")]
