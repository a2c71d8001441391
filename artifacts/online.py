"""What a migration does to indexes of tables that are in use: nobody waits for it.

Django's own operations lock a table against readers and writers, all of a migration's until its end: while an
installation works, that ends in a deadlock. PostgreSQL drops and builds CONCURRENTLY, each by itself, in no transaction
(`atomic = False`). So one that was interrupted has done a part, and may have left an index that is not valid: whatever
is done here can be done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations

# Plain indexes of a column alone: what Django makes of a foreign key, and of unique texts for patterns
_PLAIN = """
SELECT index.indexrelid::regclass::text FROM pg_index AS index
JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[0]
WHERE index.indrelid = to_regclass(%s) AND attribute.attname = %s
  AND index.indnatts = 1 AND NOT index.indisunique AND index.indpred IS NULL
"""

_RENAME = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '{table}'::regclass AND conname = '{new}') THEN
        ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new};
    END IF;
END $$
"""


class WithIndex(AddIndexConcurrently):
    """Built anew where an interrupted migration left it, whole or not."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        _drop(schema_editor, self.index.name)
        super().database_forwards(app_label, schema_editor, from_state, to_state)


class WithoutIndex(RemoveIndexConcurrently):
    """Undone, it is built anew where an interrupted migration left it, whole or not."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        _drop(schema_editor, self.name)
        super().database_backwards(app_label, schema_editor, from_state, to_state)


def renamed_constraint(table: str, old: str, new: str, state: Sequence[Any]) -> migrations.SeparateDatabaseAndState:
    """`state`: the operations that Django would have done, for its own book."""
    there, back = _RENAME.format(table=table, old=old, new=new), _RENAME.format(table=table, old=new, new=old)
    return migrations.SeparateDatabaseAndState([migrations.RunSQL(there, back)], list(state))


def _drop(editor: Any, index: str) -> None:
    with editor.connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")


def without_indexes(state: Sequence[Any], *columns: tuple[str, str]) -> migrations.SeparateDatabaseAndState:
    """`state`: the operations that Django would have done, for its own book. Of each (table, column) the plain index
    goes; undone, it is there again.
    """

    def drop(_: Any, editor: Any) -> None:
        with editor.connection.cursor() as cursor:
            for table, column in columns:
                cursor.execute(_PLAIN, [table, column])
                for (name,) in cursor.fetchall():
                    _drop(editor, name)

    def restore(_: Any, editor: Any) -> None:
        with editor.connection.cursor() as cursor:
            for table, column in columns:
                name = f"{table}_{column}_again"
                _drop(editor, name)
                cursor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({column})")

    return migrations.SeparateDatabaseAndState([migrations.RunPython(drop, restore)], list(state))
