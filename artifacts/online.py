"""What a migration does to indexes of tables that are in use: nobody waits for it.

Django's own operations lock a table against readers and writers, all of a migration's until its end: while an
installation works, that ends in a deadlock. PostgreSQL drops and builds CONCURRENTLY, each by itself, in no transaction
(`atomic = False`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import migrations

# Plain indexes of a column alone: what Django makes of a foreign key, and of unique texts for patterns
_PLAIN = """
SELECT index.indexrelid::regclass::text FROM pg_index AS index
JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[0]
WHERE index.indrelid = to_regclass(%s) AND attribute.attname = %s
  AND index.indnatts = 1 AND NOT index.indisunique AND index.indpred IS NULL
"""


def without_indexes(state: Sequence[Any], *columns: tuple[str, str]) -> migrations.SeparateDatabaseAndState:
    """`state`: the operations that Django would have done, for its own book. Of each (table, column) the plain index
    goes; undone, it is there again.
    """

    def drop(_: Any, editor: Any) -> None:
        with editor.connection.cursor() as cursor:
            for table, column in columns:
                cursor.execute(_PLAIN, [table, column])
                for (name,) in cursor.fetchall():
                    cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

    def restore(_: Any, editor: Any) -> None:
        with editor.connection.cursor() as cursor:
            for table, column in columns:
                cursor.execute(
                    f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{table}_{column}_again" ON {table} ({column})'
                )

    return migrations.SeparateDatabaseAndState([migrations.RunPython(drop, restore)], list(state))
