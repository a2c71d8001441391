"""What the database's planner knows of columns that a migration added or changed.

PostgreSQL knows nothing of a new column, and forgets what it knew of one whose type changes, a longer text included. It
looks again when a tenth of the table's rows have changed, which of a large table takes months. Until then it guesses,
and guesses that one version in two hundred is not quarantined where hardly any is.
"""

from __future__ import annotations

from django.db import connection

LARGE = 256 * 1024  # bytes; of less, any plan is good enough. How many rows it has is forgotten, too, in a rewrite

_UNKNOWN = """
    SELECT DISTINCT relname FROM pg_class AS made
    JOIN pg_namespace AS place ON place.oid = made.relnamespace
    JOIN pg_attribute AS of_it ON of_it.attrelid = made.oid AND attnum > 0 AND NOT attisdropped
        AND attstattarget IS DISTINCT FROM 0
    WHERE nspname = current_schema() AND relkind = 'r'
        AND pg_relation_size(made.oid) >= %s AND reltuples <> 0  -- of an empty one nothing can be known
        AND pg_has_role(relowner, 'USAGE') AND NOT row_security_active(made.oid)  -- else what is known is not shown
        AND NOT EXISTS (
            SELECT FROM pg_stats WHERE schemaname = nspname AND tablename = relname AND pg_stats.attname = of_it.attname
        )
    ORDER BY relname
"""


def complete() -> list[str]:
    """Has large tables looked at of which a column is unknown, and says which: some tenths of a second each."""
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, [LARGE])
        tables = [name for (name,) in cursor.fetchall()]
        for name in tables:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(name)}")
    return tables
