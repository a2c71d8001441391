"""Who connects to the embedded PostgreSQL as what.

Only the supervisor is its superuser, by being the OS user that started the server. Causeway's processes are the role
`causeway`, which owns the database and is nothing beyond; the executor is `causeway_executor`, which may what
`console/executor_rights.py` lists. Both have passwords, each in a file of the data directory.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from console.supervisor.kept_secrets import kept_secret
from console.supervisor.paths import Home

SUPERUSER, APPLICATION, EXECUTOR = "postgres", "causeway", "causeway_executor"
DATABASE = "causeway"
PASSWORD_FILES = {APPLICATION: "database-password", EXECUTOR: "executor-database-password"}

# Who may connect. Without CAUSEWAY_SQL_BIND the server listens on no TCP; with it that is for readers alone.
WRITTEN = "# Written at every start (console/supervisor/roles.py): changes are lost.\n"
HBA = f"""\
{WRITTEN}local all postgres peer map=causeway
local all all scram-sha-256
"""
READERS = "causeway_readers"  # the group, as console.sqlviews.schema makes it
# Who makes a role is a member of it, and so a reader, to PostgreSQL.
HBA_READERS = f"""\
host all {SUPERUSER},{APPLICATION},{EXECUTOR} all reject
host {DATABASE} +{READERS} all scram-sha-256
"""

# What a superuser made in earlier versions becomes the application's. Extensions and what is PostgreSQL's own stay;
# sequences that belong to a column, indexes and the types of rows follow their table.
_OTHERS = """
    WITH ours AS (
        SELECT oid, nspname, nspowner FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    ), extended AS (SELECT objid FROM pg_depend WHERE deptype = 'e')
    SELECT format('SCHEMA %%I', nspname) FROM ours WHERE nspname <> 'public' AND nspowner = %(from)s::regrole
    UNION ALL
    SELECT format('%%s %%I.%%I', CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
        WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, nspname, relname)
    FROM pg_class JOIN ours ON ours.oid = relnamespace
    WHERE relowner = %(from)s::regrole AND relkind IN ('r', 'p', 'S', 'v', 'm', 'f')
        AND pg_class.oid NOT IN (SELECT objid FROM extended) AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                AND relkind = 'S' AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass)
    UNION ALL
    SELECT format('TYPE %%I.%%I', nspname, typname)
    FROM pg_type JOIN ours ON ours.oid = typnamespace LEFT JOIN pg_class ON pg_class.oid = typrelid
    WHERE typowner = %(from)s::regrole AND (typtype IN ('e', 'd', 'r') OR typtype = 'c' AND relkind = 'c')
        AND pg_type.oid NOT IN (SELECT objid FROM extended)
    UNION ALL
    SELECT format('ROUTINE %%s', pg_proc.oid::regprocedure)
    FROM pg_proc JOIN ours ON ours.oid = pronamespace
    WHERE proowner = %(from)s::regrole AND pg_proc.oid NOT IN (SELECT objid FROM extended)
"""


def identities(os_user: str) -> str:
    """PostgreSQL's pg_ident.conf: the OS user who may be the superuser."""
    quoted = os_user.replace('"', '""')
    return (
        f'# Written at every start (console/supervisor/roles.py): changes are lost.\ncauseway "{quoted}" {SUPERUSER}\n'
    )


def password(home: Home, role: str) -> str:
    return kept_secret(home.root, PASSWORD_FILES[role])


def url(home: Home, role: str) -> str:
    """DATABASE_URL of a process that connects to the embedded server as the role."""
    return f"postgresql://{role}:{password(home, role)}@/{DATABASE}?host={quote(str(home.postgres_sockets))}"


def prepare(home: Home) -> None:
    """Make the roles and the database as they should be, also of a server that an earlier Causeway made.

    Needs the server running, and to be the OS user that started it. May be repeated at any time.
    """
    from console.sqlviews import hardening  # noqa: PLC0415 - here, as below

    with _superuser(home, "postgres") as server:
        for role in (APPLICATION, EXECUTOR):
            _make_role(server, role, password(home, role), makes_roles=role == APPLICATION)
        _make_database(server)
    with _superuser(home, DATABASE) as database, database.transaction():
        for (what,) in database.execute(_OTHERS, {"from": SUPERUSER}).fetchall():
            database.execute(f"ALTER {what} OWNER TO {APPLICATION}")
        for statement in hardening.statements(database.cursor(), APPLICATION, (EXECUTOR,)):
            database.execute(statement)


def _superuser(home: Home, database: str) -> Any:
    import psycopg  # here, because most starts need no preparation

    return psycopg.connect(host=str(home.postgres_sockets), user=SUPERUSER, dbname=database, autocommit=True)


def _make_role(server: Any, role: str, secret: str, *, makes_roles: bool) -> None:
    """`makes_roles`: login roles for readers. It rules those it made, never the superuser's or the executor's."""
    if server.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
        server.execute(f"CREATE ROLE {role}")
    # What the server is told, and might log, is no password but what proves one.
    proof = server.pgconn.encrypt_password(secret.encode(), role.encode(), b"scram-sha-256").decode()
    server.execute(
        f"ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB {'' if makes_roles else 'NO'}CREATEROLE NOREPLICATION"
        f" NOBYPASSRLS PASSWORD '{proof}'"
    )


def _make_database(server: Any) -> None:
    if server.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        server.execute(f"CREATE DATABASE {DATABASE}")
    server.execute(f"ALTER DATABASE {DATABASE} OWNER TO {APPLICATION}")
    for database in (DATABASE, "postgres", "template1"):  # for whom is named alone
        server.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    server.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {EXECUTOR}")
