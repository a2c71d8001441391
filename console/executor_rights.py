"""What an executor may in the database: what its process does, and nothing else.

Everything that is not named here is closed to its role, new tables too. A right without columns is for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from django.db import connection, models, transaction
from psycopg import sql

from artifacts.models import Artifact, ArtifactVersion
from console.accounts.models import RoleBinding, User
from console.sqlviews import hardening
from lineage.models import VersionEdge
from scheduler.attempts import moves
from scheduler.models import (
    AttemptReplicas,
    AttemptSamples,
    ClusterSettings,
    Connection,
    ConnectorCatalogue,
    ConnectorJob,
    ConnectorSettings,
    Execution,
    ExecutorInstance,
    Lane,
    LaunchPlan,
    NodeExecution,
    PhaseEvent,
    Quota,
    Secret,
    TaskExecution,
    UsageHour,
)

Right = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]
ALL: tuple[str, ...] = ()
_MOVED = ("phase", "updated_at", *moves.COLUMNS)

# (model, right, names of its fields)
RIGHTS: tuple[tuple[type[models.Model], Right, tuple[str, ...]], ...] = (
    # it claims attempts and moves them on, and its nodes with them, but neither adds, changes nor ends other things
    (TaskExecution, "SELECT", ALL),
    (TaskExecution, "UPDATE", _MOVED),
    (NodeExecution, "SELECT", ("id", "execution", "phase", "started_at")),
    (NodeExecution, "UPDATE", ("phase", "started_at", "updated_at")),
    (PhaseEvent, "INSERT", ("execution_id", "machine", "object_id", "from_phase", "to_phase", "at", "reason", "actor")),
    # what their processes use
    (AttemptSamples, "SELECT", ALL),
    (AttemptSamples, "INSERT", ALL),
    (AttemptSamples, "UPDATE", ALL),
    # what the replicas of jobs do
    (AttemptReplicas, "SELECT", ALL),
    (AttemptReplicas, "INSERT", ALL),
    (AttemptReplicas, "UPDATE", ALL),
    # what quotas allow; and lanes, where an older release queued attempts without
    (Quota, "SELECT", ALL),
    (Lane, "SELECT", ALL),
    (Lane, "INSERT", ALL),
    (TaskExecution, "UPDATE", ("lane",)),
    (Execution, "SELECT", ("launch_plan",)),
    (LaunchPlan, "SELECT", ("id", "name")),
    (UsageHour, "SELECT", ALL),
    # its sign of life
    (ExecutorInstance, "SELECT", ALL),
    (ExecutorInstance, "INSERT", ALL),
    (ExecutorInstance, "UPDATE", ALL),
    # whose an attempt is, and the secrets that are there, sealed
    (Execution, "SELECT", ("id", "project", "domain", "name", "principal", "principal_project")),
    (Secret, "SELECT", ALL),
    (Connection, "SELECT", ALL),
    # where the pods of its cluster run, and the key to it, sealed
    (ClusterSettings, "SELECT", ALL),
    # which connectors there are, what they said they run, and the jobs they made
    (ConnectorSettings, "SELECT", ALL),
    (ConnectorCatalogue, "SELECT", ALL),
    (ConnectorCatalogue, "INSERT", ALL),
    (ConnectorCatalogue, "UPDATE", ALL),
    (ConnectorJob, "SELECT", ALL),
    (ConnectorJob, "INSERT", ALL),
    (ConnectorJob, "UPDATE", ALL),
    (ConnectorJob, "DELETE", ALL),
    # whether whoever launched it may read another project's objects: names and roles, no password, mail or token
    (User, "SELECT", ("id", "username", "is_active", "is_superuser")),
    (RoleBinding, "SELECT", ("user", "project", "domain", "role", "id")),
    (VersionEdge, "SELECT", ("id", "execution_key", "version", "role")),
    (ArtifactVersion, "SELECT", ("id", "artifact")),
    (Artifact, "SELECT", ("id", "project", "domain")),
)


class NotGranted(Exception):
    """The role cannot be an executor's; the message says why."""


def grant(role: str) -> None:
    """Give the role exactly the rights above: those it had before in our schema are gone. Raises NotGranted."""
    with transaction.atomic(), connection.cursor() as cursor:
        _check(role)
        name = sql.Identifier(role)
        cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name))
        cursor.execute(sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {}").format(name))
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
        for statement in _grants(name):
            cursor.execute(statement)
        for function in hardening.functions(cursor):  # locks, where a superuser took them from everybody
            if "advisory" in function.as_string(None):
                cursor.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(function, name))


def _check(role: str) -> None:
    """A role that owns the tables or is above all rights cannot be kept from anything."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolbypassrls, pg_has_role(pg_roles.oid, relowner, 'MEMBER')"
            " FROM pg_roles, pg_class WHERE pg_class.oid = %s::regclass AND rolname = %s",
            [TaskExecution._meta.db_table, role],
        )
        found = cursor.fetchone()
    if found is None:
        raise NotGranted(f"there is no role {role}: make it with CREATE ROLE ... LOGIN PASSWORD ...")
    above, owner = found
    if above:
        raise NotGranted(f"the role {role} is a superuser: an executor's role must be an ordinary one")
    if owner:
        raise NotGranted(f"the role {role} owns Causeway's tables: an executor needs a role of its own")


def _grants(role: sql.Identifier) -> Iterator[sql.Composed]:
    for model, right, fields in RIGHTS:
        names = [sql.Identifier(_column(model, field)) for field in fields]
        columns = sql.SQL("({})").format(sql.SQL(", ").join(names)) if names else sql.SQL("")
        table = sql.Identifier(model._meta.db_table)
        yield sql.SQL("GRANT {} {} ON {} TO {}").format(sql.SQL(right), columns, table, role)


def _column(model: type[models.Model], name: str) -> str:
    (field,) = (field for field in model._meta.concrete_fields if field.name == name or field.attname == name)
    return str(field.column)
