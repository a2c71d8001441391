"""Finds the values that an attempt's task asks for, in the project and domain of its execution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from artifacts.exceptions import NotFound
from scheduler.models import Connection, Execution, Secret, TaskExecution
from scheduler.secrets import connections, files
from scheduler.secrets.cipher import open_sealed
from scheduler.secrets.mounts import Mounts, mount
from scheduler.secrets.names import Name, Request

Scope = tuple[str, str]


class SecretNotSet(NotFound):
    """The message names the secret and who can set it."""


def mounts_for(attempt_id: int, asked: Iterable[Request], *, elsewhere: bool = False) -> Mounts:
    """`asked`: AttemptSpec.secrets. `elsewhere`: what has group and key and is set nowhere here is left to the place
    that runs the attempt.

    Raises SecretNotSet, InvalidArgument, CannotOpen, and the database's errors.
    """
    execution_id = TaskExecution.objects.values_list("execution_id", flat=True).get(pk=attempt_id)
    project, domain = Execution.objects.values_list("project", "domain").get(pk=execution_id)
    masked: dict[Name, list[bytes]] = {}
    found: list[tuple[Request, Name, bytes]] = []
    left: list[Request] = []
    for request in asked:
        try:
            found += _find_all([request], project, domain, masked)
        except SecretNotSet:
            if not (elsewhere and request.name.group and request.name.key):
                raise
            left.append(request)
    mounts = mount(found, masked)
    mounts.elsewhere = tuple(left)
    return mounts


def _find_all(
    requests: Iterable[Request], project: str, domain: str, masked: dict[Name, list[bytes]]
) -> Iterator[tuple[Request, Name, bytes]]:
    """Into `masked` goes what of the values is secret, where that is not all."""
    for request in requests:
        found = dict(_find(request.name, project, domain))
        if not found and (row := _connection(request.name, project, domain)) is not None:
            found = {name: value for name in _fields(row, request.name) if (value := connections.value_in(row, name))}
            masked |= {name: list(connections.masked_in(row, name)) for name in found}
        if not found:
            raise SecretNotSet(_lacking(request.name, project, domain))
        for name, value in found.items():
            yield request, name, value


def _connection(asked: Name, project: str, domain: str) -> Connection | None:
    """The one that a secret's name means, of the narrowest place."""
    if not (name := connections.name_in(asked)):
        return None
    for scope in scopes(project, domain):
        row = Connection.objects.filter(project=scope[0], domain=scope[1], name__iexact=name).first()
        if row is not None:
            return row
    return None


def _fields(row: Connection, asked: Name) -> list[Name]:
    """What was asked for; of a whole group, each field by itself."""
    return [asked] if asked.key else [Name(asked.group, field) for field in connections.fields(row)]


def _find(name: Name, project: str, domain: str) -> Iterator[tuple[Name, bytes]]:
    """The secret of that name or, where only a group is named, all of the group; the narrowest place wins."""
    for scope in scopes(project, domain):
        if (value := _value(name, scope)) is not None:
            yield name, value
            return
    if name.key:
        return
    keys = {key.path: key for scope in scopes(project, domain) for key in _keys(name, scope)}
    for key in keys.values():
        yield from _find(key, project, domain)


def scopes(project: str, domain: str) -> list[Scope]:
    """Narrowest first; an empty part means all of them."""
    return [(project, domain), (project, ""), ("", "")]


def _value(name: Name, scope: Scope) -> bytes | None:
    """The store goes before the files."""
    row = rows(scope).filter(group__iexact=name.group, key__iexact=name.key, version__iexact=name.version).first()
    if row is not None:
        return open_sealed(bytes(row.sealed), bound_to=bound_to(row))
    root = settings.CAUSEWAY_SECRETS_DIR
    return files.find(files.folder(Path(root), *scope), name) if root else None


def _keys(group: Name, scope: Scope) -> Iterator[Name]:
    for row in rows(scope).filter(group__iexact=group.group, version__iexact=group.version).exclude(key=""):
        yield Name(group.group, row.key, group.version)
    if root := settings.CAUSEWAY_SECRETS_DIR:
        yield from files.keys_of(files.folder(Path(root), *scope), group)


def rows(scope: Scope) -> QuerySet[Secret]:
    return Secret.objects.filter(project=scope[0], domain=scope[1])


def bound_to(row: Secret) -> tuple[str, ...]:
    """What the row's sealed value is good for."""
    return (row.project, row.domain, row.group.lower(), row.key.lower(), row.version.lower())


def _lacking(name: Name, project: str, domain: str) -> str:
    if connection := connections.name_in(name):
        field = f" with a field {name.key}" if name.group.lower() != connections.GROUP and name.key else ""
        return (
            f"the task asks for the connection {connection}{field}, which is set neither for {project}/{domain} nor "
            f"for all of {project} or every project: an administrator of the project sets it, on the page Connections "
            "or with `causeway connection set`"
        )
    return (
        f"the task asks for the secret {name}, which is set neither for {project}/{domain} nor for all of {project} or "
        "every project: an administrator of the project sets it, on the page Secrets, with `causeway secret set`, or "
        "as a file in CAUSEWAY_SECRETS_DIR"
    )
