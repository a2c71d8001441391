"""What PostgreSQL lets everybody do who can connect, and a reader must not: only a superuser can take it from them.

Advisory locks are what Causeway decides by who evaluates an execution; large objects, notifications and messages of
one's own in the write-ahead log are written to disk; and whatever language functions are written in would let a reader
write some (DO). Counters of scans, rows and blocks tell what a query of one's own looked through: whether others have a
row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

_CLOSED = """
    pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND (
        proname ~ '^pg_(try_)?advisory_' OR proname ~ '^lo_'
        OR proname ~ '^pg_stat_get_(xact_|(db_)?(numscans|lastscan|tuples_(returned|fetched)|blocks_)|(backend_)?io$)'
        OR proname IN ('loread', 'lowrite', 'pg_logical_emit_message', 'pg_notify')
    )
"""
_FUNCTIONS = f"SELECT pg_proc.oid::regprocedure::text FROM pg_proc WHERE {_CLOSED} ORDER BY 1"  # noqa: S608 - a constant
_OPEN = f"""
    SELECT count(*) FROM pg_proc WHERE {_CLOSED}
    AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
                WHERE acl.grantee = 0 AND acl.privilege_type = 'EXECUTE')
"""  # noqa: S608 - a constant
_LANGUAGES = """
    SELECT lanname FROM pg_language
    WHERE lanpltrusted AND EXISTS (SELECT FROM aclexplode(coalesce(lanacl, acldefault('l', lanowner))) AS acl
                                   WHERE acl.grantee = 0) AND lanname <> 'sql'
"""
_DATABASE = """
    SELECT FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
    WHERE datname = current_database() AND acl.grantee = 0
"""


def functions(cursor: Any) -> list[sql.SQL]:
    """Of PostgreSQL's own, those that a reader must not call; spelled by itself, quoted where they must be."""
    cursor.execute(_FUNCTIONS)
    return [sql.SQL(name) for (name,) in cursor.fetchall()]


def statements(cursor: Any, owner: str, others: Iterable[str] = ()) -> list[sql.Composable]:
    """What a superuser has to run in the database. `owner`, who owns the tables, and the `others` of Causeway's roles
    go on using these; the owner may let an executor's role do so too. May be repeated.
    """
    found: list[sql.Composable] = []
    granted = [
        (sql.Identifier(owner), sql.SQL("WITH GRANT OPTION")),
        *((sql.Identifier(one), sql.SQL("")) for one in others),
    ]
    for function in functions(cursor):
        found.append(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(function))
        for role, option in granted:
            found.append(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {} {}").format(function, role, option))
    cursor.execute("SELECT lanname FROM pg_language WHERE lanpltrusted AND lanname <> 'sql' ORDER BY 1")
    for (language,) in cursor.fetchall():
        found.append(sql.SQL("REVOKE USAGE ON LANGUAGE {} FROM PUBLIC").format(sql.Identifier(language)))
        found.append(
            sql.SQL("GRANT USAGE ON LANGUAGE {} TO {}").format(sql.Identifier(language), sql.Identifier(owner))
        )
    cursor.execute("SELECT current_setting('server_version_num')::int >= 150000")
    if cursor.fetchone()[0]:  # so that the owner may say it of readers; before, no role but a superuser could
        found.append(sql.SQL("GRANT SET ON PARAMETER temp_file_limit TO {}").format(sql.Identifier(owner)))
    cursor.execute("SELECT current_database()")
    database = sql.Identifier(cursor.fetchone()[0])
    found.append(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    return found


def open_doors(cursor: Any) -> list[str]:
    """What everybody who can connect may still do and a reader must not, in words; empty: nothing."""
    found = []
    cursor.execute(_OPEN)
    if cursor.fetchone()[0]:
        found.append("take advisory locks, write large objects and the log or read counters of scans")
    cursor.execute(_LANGUAGES)
    if cursor.fetchall():
        found.append("write functions (DO)")
    cursor.execute(_DATABASE)
    if cursor.fetchone() is not None:
        found.append("connect or make temporary tables")
    return found
