"""Which rows of the tables below the views a reader sees: row security on the tables themselves.

The views belong to a role of their own, for which each table has a policy; nobody else is held by one, and the tables'
owner is above them. A condition that is asked of a table's rows comes before whatever a query asks of them and could
tell of them by (functions, errors), while the views are no walls to the planner: indexes serve order, joins and limits.

Rows belong to a place, or to rows of another table, whose own policy says the rest. Conditions are asked row by row as
scalar subqueries, never as EXISTS: that may be hashed, which reads the whole other table for the newest fifty rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.db import IntegrityError, ProgrammingError, transaction
from psycopg import sql

VIEWER = "causeway_views"  # owns the views; nobody logs in as it, or becomes it but who owns the tables
FOR_VIEWER, FOR_EVERYBODY = "causeway_seen", "causeway_all"

# Once for a query, whatever it reads.
_PLACES = """(SELECT ARRAY(
        SELECT seen.project || '/' || seen.domain
        FROM public.accounts_readerscope seen JOIN public.accounts_reader reader ON reader.id = seen.reader_id
        WHERE reader.role = causeway.reader()))::text[]"""


def sees(project: str, domain: str) -> str:
    """Whether the place, two expressions of SQL, is one of the reader's."""
    return " OR ".join(
        f"{place} = ANY ({_PLACES})"
        for place in ("'/'::text", f"{project}::text || '/'", f"{project}::text || '/' || {domain}::text")
    )


def _own(table: str, project: str = "project", domain: str = "domain") -> str:
    return f"({sees(f'{table}.{project}', f'{table}.{domain}')})"


def _of(table: str, column: str, other: str) -> str:
    """The row of the other table that the column names is seen."""
    return f"(SELECT true FROM public.{other} above WHERE above.id = {table}.{column})"  # noqa: S608 - names of ours


_ARTIFACT, _VERSION = "artifacts_artifact", "artifacts_artifactversion"
_EXECUTION, _PLAN = "scheduler_execution", "scheduler_launchplan"
_EDGE, _DERIVATION = "lineage_versionedge", "lineage_derivation"
_SOURCE, _CONTEST = "scheduler_triggersource", "scheduler_contest"
_OWN = (_ARTIFACT, _EXECUTION, _PLAN, "scheduler_lane", "scheduler_servicelevel")
# (table, column, the table whose row it names)
_BELONG = (
    (_VERSION, "artifact_id", _ARTIFACT),
    ("artifacts_partition", "artifact_id", _ARTIFACT),
    ("artifacts_alias", "artifact_id", _ARTIFACT),
    ("artifacts_aliasmove", "artifact_id", _ARTIFACT),
    ("artifacts_hold", "artifact_id", _ARTIFACT),
    ("artifacts_metric", "version_id", _VERSION),
    ("scheduler_nodeexecution", "execution_id", _EXECUTION),
    ("scheduler_taskexecution", "node_id", "scheduler_nodeexecution"),
    ("scheduler_gate", "execution_id", _EXECUTION),
    ("scheduler_trigger", "launch_plan_id", _PLAN),
    ("scheduler_schedule", "launch_plan_id", _PLAN),
    ("scheduler_schedulefire", "schedule_id", "scheduler_schedule"),
    ("scheduler_usagehour", "lane", "scheduler_lane"),
    ("scheduler_leveloutcome", "level_id", "scheduler_servicelevel"),
)
# Of what tells of several places, each has to be seen.
_SEVERAL = {
    _EDGE: (
        _of(_EDGE, "version_id", _VERSION),
        f"({sees(f'split_part({_EDGE}.execution_key, $$/$$, 1)', f'split_part({_EDGE}.execution_key, $$/$$, 2)')})",
    ),
    _DERIVATION: (_of(_DERIVATION, "source_id", _VERSION), _of(_DERIVATION, "target_id", _VERSION)),
    _SOURCE: (_of(_SOURCE, "trigger_id", "scheduler_trigger"), _own(_SOURCE)),
    _CONTEST: (_own(_CONTEST), _own(_CONTEST, "dataset_project", "dataset_domain")),
    "scheduler_triggerfiring": (
        _of("scheduler_triggerfiring", "trigger_id", "scheduler_trigger"),
        _of("scheduler_triggerfiring", "version_id", _VERSION),
    ),
    "scheduler_promotion": (
        _own("scheduler_promotion"),
        _of("scheduler_promotion", "source_id", _VERSION),
    ),
}
# About an approval or a promotion.
_EITHER = {
    table: f"({_of(table, 'gate_id', 'scheduler_gate')} OR {_of(table, 'promotion_id', 'scheduler_promotion')})"
    for table in ("scheduler_decision", "scheduler_gatevote")
}
POLICIES: dict[str, str] = {
    **{table: _own(table) for table in _OWN},
    **{table: _of(table, column, other) for table, column, other in _BELONG},
    **{table: " AND ".join(conditions) for table, conditions in _SEVERAL.items()},
    **_EITHER,
}
READ_BESIDE = ("accounts_reader", "accounts_readerscope")  # who sees what


def may_make_roles(cursor: Any) -> bool:
    cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    return bool(cursor.fetchone()[0])


def make(cursor: Any, views: Iterable[str]) -> bool:
    """Put the policies on the tables and give the views to their role, in the caller's transaction. False, with nothing
    done, where Causeway may make no roles, or the server's role of that name is another's: then nobody can be given
    the views.
    """
    if not role_is_ours(cursor):
        return False
    for table, condition in POLICIES.items():
        cursor.execute(f"ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY")
        cursor.execute(f"CREATE POLICY {FOR_EVERYBODY} ON public.{table} USING (true) WITH CHECK (true)")
        cursor.execute(
            f"CREATE POLICY {FOR_VIEWER} ON public.{table} AS RESTRICTIVE FOR SELECT TO {VIEWER} USING ({condition})"
        )
    for table in (*POLICIES, *READ_BESIDE):
        cursor.execute(f"GRANT SELECT ON public.{table} TO {VIEWER}")
    cursor.execute(f"GRANT USAGE, CREATE ON SCHEMA causeway TO {VIEWER}")  # as the owner of a view there has to
    for view in views:
        cursor.execute(f"ALTER VIEW causeway.{view} OWNER TO {VIEWER}")
    cursor.execute(f"REVOKE CREATE ON SCHEMA causeway FROM {VIEWER}")
    return True


def in_place(cursor: Any) -> bool:
    """Whether the views belong to their role, as they do once the policies are there."""
    cursor.execute(
        "SELECT bool_and(pg_get_userbyid(relowner) = %s) FROM pg_class"
        " WHERE relkind = 'v' AND relnamespace = to_regnamespace('causeway')::oid",
        [VIEWER],
    )
    return bool(cursor.fetchone()[0])


def drop(cursor: Any) -> None:
    """After the views are gone. Row security first: without a policy, it closes a table to all but its owner."""
    cursor.execute(
        "SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'public' AND policyname = ANY(%s)",
        [[FOR_VIEWER, FOR_EVERYBODY]],
    )
    for (table,) in cursor.fetchall():
        name = sql.Identifier("public", table)
        cursor.execute(sql.SQL("ALTER TABLE {} DISABLE ROW LEVEL SECURITY").format(name))
        for policy in (FOR_VIEWER, FOR_EVERYBODY):
            cursor.execute(sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(sql.Identifier(policy), name))


def make_role(cursor: Any, name: str) -> None:
    """Unless it is there. Another database of the server may make it at this moment: roles are the server's, and
    advisory locks a database's.
    """
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
    if cursor.fetchone() is None:
        with suppress(IntegrityError, ProgrammingError), transaction.atomic():
            cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def role_is_ours(cursor: Any) -> bool:
    """Makes the role where there is none yet. A database is restored only where it is: policies name it."""
    if not may_make_roles(cursor):
        return False
    make_role(cursor, VIEWER)
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if cursor.fetchone()[0]:
        return True
    cursor.execute("SELECT pg_has_role(current_user, %s, 'MEMBER WITH ADMIN OPTION')", [VIEWER])
    if not cursor.fetchone()[0]:
        return False
    cursor.execute(f"GRANT {VIEWER} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
    return True
