"""Login roles that read the views: made, changed and taken away, by who administers all that they see."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from psycopg import sql

from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from audit.record import record
from console.accounts import access, roles
from console.accounts.access import Action
from console.accounts.models import Reader, ReaderScope, User
from console.sqlviews import hardening, policies, schema

PREFIX = "causeway_reader_"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
MOST_SECONDS, MOST_CONNECTIONS = 3600, 50
DEFAULT_SECONDS, DEFAULT_CONNECTIONS = 60, 5
TEMPORARY = "2GB"  # on disk, of a session's sorts and the like; it cannot set this otherwise
Place = tuple[str, str]  # project, domain; empty: all


@dataclass(frozen=True)
class Limits:
    """`seconds` that a statement may take, `connections` at once. Raises InvalidArgument."""

    seconds: int = DEFAULT_SECONDS
    connections: int = DEFAULT_CONNECTIONS

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= MOST_SECONDS:
            raise InvalidArgument(f"a statement may take 1 to {MOST_SECONDS} seconds, not {self.seconds}")
        if not 1 <= self.connections <= MOST_CONNECTIONS:
            raise InvalidArgument(f"a reader has 1 to {MOST_CONNECTIONS} connections, not {self.connections}")


def place_of(text: str) -> Place:
    """`weather`, `weather/production`, or `*` for everything."""
    project, _, domain = text.partition("/")
    return ("", "") if text == "*" else (project, domain)


def visible(user: User) -> QuerySet[Reader]:
    """Readers of which the user administers every place."""
    within = ReaderScope.objects.filter(access.readable(user, action=Action.ADMIN)).values("pk")
    foreign = ReaderScope.objects.exclude(pk__in=within).values("reader")
    return Reader.objects.exclude(pk__in=foreign).prefetch_related("scopes")


def find(user: User, name: str) -> Reader:
    """NotFound for one that is not there, or whose places the user does not administer."""
    found = visible(user).filter(name=name).first()
    if found is None:
        raise NotFound(f"no reader {name} that you administer")
    return found


def make(
    name: str, places: Collection[Place], *, limits: Limits = Limits(), description: str = "", actor: User
) -> tuple[Reader, str]:
    """A new reader and its password, which cannot be read again.

    Raises InvalidArgument, AlreadyExists, PermissionDenied, and FailedPrecondition where the database would let it do
    more than read.
    """
    _check_places(places, actor)
    check(name, places)
    try:
        with transaction.atomic():
            reader = Reader.objects.create(
                name=name,
                role=f"{PREFIX}{name}",
                description=description,
                statement_seconds=limits.seconds,
                connections=limits.connections,
                created_by=actor.get_username(),
            )
            ReaderScope.objects.bulk_create(
                ReaderScope(reader=reader, project=project, domain=domain) for project, domain in sorted(set(places))
            )
            secret = _make_role(reader, limits)
            _record(actor, "reader.create", reader, places=_spelled(places))
    except IntegrityError as error:
        raise AlreadyExists(f"there is a reader {name}") from error
    return reader, secret


def change(
    reader: Reader, *, places: Collection[Place] | None = None, limits: Limits | None = None, actor: User
) -> Reader:
    """What is given; takes effect with its next statement, limits with its next session. Raises as `make`."""
    _require_all(reader, actor)
    if places is not None:
        _check_places(places, actor)
    with transaction.atomic():
        if places is not None:
            reader.scopes.all().delete()
            ReaderScope.objects.bulk_create(
                ReaderScope(reader=reader, project=project, domain=domain) for project, domain in sorted(set(places))
            )
        if limits is not None:
            reader.statement_seconds, reader.connections = limits.seconds, limits.connections
            reader.save(update_fields=["statement_seconds", "connections"])
            _limit_role(reader, limits)
        _record(actor, "reader.update", reader, places=_spelled(places or ()))
    return Reader.objects.prefetch_related("scopes").get(pk=reader.pk)


def rotate(reader: Reader, *, actor: User) -> str:
    """A new password; the old one is wrong at once, and its sessions end. Makes the role where a restored database came
    without it.
    """
    _require_all(reader, actor)
    with transaction.atomic():
        _check_database()
        if _exists(reader.role):
            secret = _set_password(reader.role)
            _end_sessions(reader.role)
        else:
            secret = _make_role(reader, Limits(reader.statement_seconds, reader.connections))
        _record(actor, "reader.rotate", reader)
    return secret


def remove(reader: Reader, *, actor: User) -> None:
    """Its role goes, and with it whatever sessions it has."""
    _require_all(reader, actor)
    with transaction.atomic():
        _record(actor, "reader.remove", reader)
        role = reader.role
        reader.delete()
        if not _exists(role):
            return
        _run("ALTER ROLE {} NOLOGIN", role)
        _end_sessions(role)
        _revoke_connect(role)
        _run("DROP ROLE {}", role)


def check(name: str, places: Collection[Place]) -> None:
    """InvalidArgument for a name that cannot be one, for no place and for one that there is not; FailedPrecondition
    where none can be made.
    """
    if not NAME.fullmatch(name):
        raise InvalidArgument("a reader's name has 1 to 40 small letters, digits and underscores, a letter first")
    if not places:
        raise InvalidArgument("a reader needs a project to see: weather, weather/production, or * for everything")
    for project, domain in places:
        roles.check_scope(project, domain)
    _check_database()


def _require_all(reader: Reader, actor: User) -> None:
    """PermissionDenied unless the actor administers all that it sees, also places that there are no more."""
    for scope in reader.scopes.all():
        access.require(actor, Action.ADMIN, scope.project, scope.domain)


def _check_places(places: Collection[Place], actor: User) -> None:
    """PermissionDenied for what the actor does not administer; InvalidArgument for none and for what there is not."""
    if not places:
        raise InvalidArgument("a reader needs a project to see: weather, weather/production, or * for everything")
    for project, domain in places:
        access.require(actor, Action.ADMIN, project, domain)
        roles.check_scope(project, domain)


def _spelled(places: Collection[Place]) -> list[str]:
    return [_spell(*place) for place in sorted(set(places))]


def _spell(project: str, domain: str) -> str:
    """As `place_of` reads it."""
    return "/".join(part for part in (project, domain) if part) or "*"


def _record(actor: User, verb: str, reader: Reader, **detail: object) -> None:
    record(actor.get_username(), verb, reader.name, detail={key: value for key, value in detail.items() if value})


def _check_database() -> None:
    """FailedPrecondition unless readers can be made here, and could do nothing but read."""
    with connection.cursor() as cursor:
        if not policies.may_make_roles(cursor):
            raise FailedPrecondition(
                "Causeway's role in the database may make no roles: ALTER ROLE ... CREATEROLE, as its superuser"
            )
        if doors := hardening.open_doors(cursor):
            raise FailedPrecondition(
                f"in this database everybody who can connect may {' and '.join(doors)}: let its superuser run what "
                "`python manage.py harden_database` prints, then make readers"
            )


def _exists(role: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
        return cursor.fetchone() is not None


def _run(statement: str, role: str, *more: sql.Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(sql.Identifier(role), *more))


def _make_role(reader: Reader, limits: Limits) -> str:
    with connection.cursor() as cursor:
        policies.make_role(cursor, schema.GROUP)
        schema.grant(cursor)
    if _exists(reader.role):
        raise AlreadyExists(f"the database server has a role {reader.role} already: another Causeway's, perhaps")
    _run("CREATE ROLE {} LOGIN", reader.role)
    _run(f"GRANT {schema.GROUP} TO {{}}", reader.role)
    _run("GRANT CONNECT ON DATABASE {1} TO {0}", reader.role, _database())
    _let_us_end_its_sessions(reader.role)
    _limit_role(reader, limits)
    return _set_password(reader.role)


def _database() -> sql.Identifier:
    return sql.Identifier(str(connection.settings_dict["NAME"]))


def _let_us_end_its_sessions(role: str) -> None:
    """Who made a role administers it; ending its sessions takes its rights, which are fewer than ours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, current_user FROM pg_roles WHERE rolname = current_user")
        above, ours = cursor.fetchone()
        if not above:
            cursor.execute(
                sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE").format(
                    sql.Identifier(role), sql.Identifier(ours)
                )
            )


def _limit_role(reader: Reader, limits: Limits) -> None:
    """What a session begins with. It may set its settings otherwise: `end_overdue` ends who stays longer."""
    if not _exists(reader.role):
        return
    _run("ALTER ROLE {} CONNECTION LIMIT {}", reader.role, sql.Literal(limits.connections))
    limited = [("temp_file_limit", TEMPORARY)] if _may_limit_files() else []
    for name, value in (
        *limited,
        ("statement_timeout", f"{limits.seconds}s"),
        ("idle_in_transaction_session_timeout", f"{limits.seconds}s"),
        ("lock_timeout", "5s"),
        ("default_transaction_read_only", "on"),
        ("search_path", schema.SCHEMA),
    ):
        _run(f"ALTER ROLE {{}} SET {name} = {{}}", reader.role, sql.Literal(value))


def _may_limit_files() -> bool:
    """From PostgreSQL 15 on, where the database was prepared for it (hardening)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int >= 150000")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT has_parameter_privilege('temp_file_limit', 'SET')")
        return bool(cursor.fetchone()[0])


def _set_password(role: str) -> str:
    """The server is told what proves the password, never the password."""
    secret = secrets.token_urlsafe(24)
    connection.ensure_connection()
    proof = connection.connection.pgconn.encrypt_password(secret.encode(), role.encode(), b"scram-sha-256").decode()
    _run("ALTER ROLE {} PASSWORD {}", role, sql.Literal(proof))
    return secret


def _end_sessions(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])


def _revoke_connect(role: str) -> None:
    _run("REVOKE ALL ON DATABASE {1} FROM {0}", role, _database())


def names(scopes: Sequence[ReaderScope]) -> list[str]:
    return [_spell(scope.project, scope.domain) for scope in scopes]


def end_overdue() -> int:
    """End sessions of readers that outlive their limits, whatever they set for themselves; how many."""
    with connection.cursor() as cursor:
        cursor.execute(_OVERDUE)
        return sum(1 for (ended,) in cursor.fetchall() if ended)


_OVERDUE = """
    SELECT pg_terminate_backend(activity.pid)
    FROM pg_stat_activity activity JOIN accounts_reader reader ON reader.role = activity.usename
    WHERE activity.xact_start < clock_timestamp() - make_interval(secs => reader.statement_seconds + 5)
"""
