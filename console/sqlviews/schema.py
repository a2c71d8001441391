"""Makes the schema `causeway` from the definitions, after every migration; it is dropped before one, whose tables may
change below the views. Nothing is kept in it.

What a row's reader may see is asked of `accounts_reader` by `session_user`, which no statement of his changes: SET ROLE
and the like change the current user alone. It is asked of the tables' rows (`policies`), so no function of a query sees
a row before; readers need no right to the tables, as the views' own role has it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from artifacts.exceptions import FailedPrecondition
from console.sqlviews import policies
from console.sqlviews.columns import Column, View
from console.sqlviews.definitions import VIEWS

SCHEMA = "causeway"
GROUP = "causeway_readers"
_NAMES = [view.name for view in VIEWS]

# EXPLAIN tells how many rows were left out, and estimates how many there are: of everybody's. It is refused, by what
# the planner has to evaluate to estimate anything. `current_query` is what the client sent; what messages prepared or
# opened before (Parse, Bind) runs by EXECUTE and FETCH without its text, so what the session keeps is asked too.
# The plan itself is printed where `debug_print_plan` says so, and to the client where it asks for the server's log.
_WHO = """
CREATE FUNCTION causeway.reader() RETURNS name LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 1 AS $$
BEGIN
    IF session_user <> {owner} AND (
        current_query() ~* '\\mexplain\\M'
        OR EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE statement ~* '\\mexplain\\M')
        OR EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE statement ~* '\\mexplain\\M')
    ) THEN
        RAISE insufficient_privilege USING MESSAGE =
            'EXPLAIN is not for readers: it tells of rows that they may not see. (No query may hold this word, also '
            'none that the session has prepared.)';
    END IF;
    IF (current_setting('debug_print_plan')::boolean OR current_setting('client_min_messages') ~ '^(debug|log)')
        AND session_user <> {owner} THEN
        RAISE insufficient_privilege USING MESSAGE =
            'The server''s log is not for readers: RESET debug_print_plan and client_min_messages.';
    END IF;
    RETURN session_user;
END $$
"""


def definition(view: View) -> str:
    """CREATE VIEW; of constants of ours alone."""
    columns = ",\n    ".join(f"({_sql(column)})::{column.type} AS {column.name}" for column in view.columns)
    return f"CREATE VIEW {SCHEMA}.{view.name} AS SELECT\n    {columns}\nFROM {view.source}"  # noqa: S608


def _sql(column: Column) -> str:
    place = "split_part(v.execution_key, '/', 1)", "split_part(v.execution_key, '/', 2)"
    return column.sql.replace("{visible_execution}", policies.sees(*place))


def digest() -> str:
    """Of all that is made here."""
    parts = [_WHO, *(definition(view) for view in VIEWS), *(repr(view) for view in VIEWS), repr(policies.POLICIES)]
    text = "\n".join(parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def drop() -> None:
    """Before a migration; also has this session look for tables where they are, whatever the schema's name."""
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public")
        _drop(cursor)


def _drop(cursor: Any) -> None:
    cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    policies.drop(cursor)


def make() -> bool:
    """Make the views unless they are there as defined; whether they were made. Needs all tables."""
    wanted = digest()
    with transaction.atomic(), connection.cursor() as cursor:
        in_place = policies.in_place(cursor)  # not in a database that was restored without its roles
        cursor.execute("SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')", [SCHEMA])
        if str(cursor.fetchone()[0] or "").endswith(wanted) and (in_place or not policies.may_make_roles(cursor)):
            return False
        cursor.execute("SET LOCAL search_path = public")
        _drop(cursor)
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute(sql.SQL(_WHO).format(owner=sql.Literal(_owner(cursor))))
        for view in VIEWS:
            _make_view(cursor, view)
        said = f"What Causeway knows, for analysts (docs/reference/sql.md). {wanted}"
        cursor.execute(sql.SQL("COMMENT ON SCHEMA causeway IS {}").format(said))
        _close(cursor)
        if policies.make(cursor, _NAMES):
            _grant(cursor)
    return True


def _owner(cursor: Any) -> str:
    cursor.execute("SELECT current_user")
    return str(cursor.fetchone()[0])


def _make_view(cursor: Any, view: View) -> None:
    cursor.execute(definition(view))
    cursor.execute(
        sql.SQL("COMMENT ON VIEW {} IS {}").format(sql.Identifier(SCHEMA, view.name), sql.Literal(view.comment))
    )
    for column in view.columns:
        cursor.execute(
            sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                sql.Identifier(SCHEMA, view.name, column.name), sql.Literal(column.comment)
            )
        )


def _close(cursor: Any) -> None:
    """Nobody uses the schema but the group; and the role `causeway` does not take it for its own, which it would for
    its name: its tables are in `public`.
    """
    cursor.execute(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC")
    cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC")
    cursor.execute(
        "SELECT current_database(), datdba::regrole::text = current_user OR usesuper"
        " FROM pg_database, pg_user WHERE datname = current_database() AND usename = current_user"
    )
    database, ours = cursor.fetchone()
    if ours:
        name = sql.Identifier(database)
        cursor.execute(sql.SQL("ALTER DATABASE {} SET search_path = public").format(name))


def _grant(cursor: Any) -> None:
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [GROUP])
    if cursor.fetchone() is None:
        return  # no reader was ever made here
    grant(cursor)


def grant(cursor: Any) -> None:
    """What all readers may: look at the views. FailedPrecondition where nothing keeps them to their places."""
    if not policies.in_place(cursor) and not policies.make(cursor, _NAMES):
        raise FailedPrecondition(
            f"the database server has a role {policies.VIEWER} that Causeway's own does not administer: another "
            "Causeway's, perhaps"
        )
    cursor.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {GROUP}")
    cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {GROUP}")
