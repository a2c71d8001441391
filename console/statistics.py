"""What the database's planner knows of columns that a migration added or changed.

PostgreSQL knows nothing of a new column, and forgets what it knew of one whose type changes, a longer text included. It
looks again when a tenth of the table's rows have changed, which of a large table takes months. Until then it guesses,
and guesses that one version in two hundred is not quarantined where hardly any is.
"""

from __future__ import annotations

import logging

from django.db import Error, connection, transaction

logger = logging.getLogger(__name__)

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
    """Has large tables looked at of which a column is unknown, and says which: some tenths of a second each, more where
    they have to be read from a disk.

    Nobody who starts waits for those who work on such a table (a vacuum against wraparound takes hours), nor fails for
    want of it: the next start finds it, or PostgreSQL itself.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, [LARGE])
        tables = [name for (name,) in cursor.fetchall()]
        for name in tables:
            try:
                with transaction.atomic():
                    cursor.execute(f"ANALYZE (SKIP_LOCKED) {connection.ops.quote_name(name)}")
            except Error as error:
                logger.warning("%s could not be analysed: plans for it may be poor until it is: %s", name, error)
    return tables
