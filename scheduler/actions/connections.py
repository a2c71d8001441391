"""Setting and removing connections: where a system of others is, and as whom tasks log in there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from audit.record import record
from scheduler.actions.secrets import LARGEST, check_place
from scheduler.models import Connection
from scheduler.secrets import cipher, connections

MOST_PORT = 65535
_LENGTHS = {"kind": 63, "host": 255, "user": 255, "database": 255}
_RESERVED = {*connections.PLAIN, connections.URL}


@dataclass(frozen=True)
class Wanted:
    """What a connection shall be. `secrets`: those that are named are set, None removes one, the others stay."""

    kind: str = ""
    host: str = ""
    port: int | None = None
    user: str = ""
    database: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str | None] = field(default_factory=dict, repr=False)


def set_connection(name: str, wanted: Wanted, *, project: str, domain: str, actor: str) -> tuple[Connection, bool]:
    """The row, and whether it is new; what it was is replaced, for attempts that start from now on.

    Empty `project`: every project; empty `domain`: every domain of the project. InvalidArgument for what cannot be.
    """
    check(name, wanted)
    check_place(project, domain)
    try:
        with transaction.atomic():
            return _write(name, wanted, project=project, domain=domain, actor=actor)
    except IntegrityError:  # somebody set it first, at the same time
        return _write(name, wanted, project=project, domain=domain, actor=actor)


def remove_connection(row: Connection, *, actor: str) -> None:
    """Attempts that run have it still; those that start fail by its name."""
    with transaction.atomic():
        if Connection.objects.filter(pk=row.pk).delete()[0]:  # of two at once one did it
            record(actor, "connection.remove", row)


def reseal() -> int:
    """As scheduler.actions.secrets.reseal."""
    number = 0
    for pk in Connection.objects.exclude(sealed=b"").order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            row = Connection.objects.select_for_update().filter(pk=pk).first()
            if row is None or not row.sealed or cipher.is_newest(bytes(row.sealed)):
                continue
            row.sealed = connections.sealed(row, connections.secrets_of(row))
            row.save(update_fields=["sealed"])
            number += 1
    return number


def check(name: str, wanted: Wanted) -> None:
    """InvalidArgument in one sentence, never with the value of a secret."""
    if not connections.NAME.fullmatch(name):
        raise InvalidArgument(
            f"{name[:100]!r} cannot be the name of a connection: small letters, digits and '_', beginning with a "
            "letter, at most 63"
        )
    for column, most in _LENGTHS.items():
        text = getattr(wanted, column)
        if len(text) > most or not text.isprintable():
            raise InvalidArgument(f"{column}: at most {most} characters, on one line")
    if wanted.kind and not connections.KIND.fullmatch(wanted.kind):
        raise InvalidArgument(
            "kind: the scheme of its address, as postgresql or postgresql+psycopg: letters, digits, '+', '-', '.' and "
            "'_', beginning with a letter"
        )
    if wanted.port is not None and not 0 < wanted.port <= MOST_PORT:
        raise InvalidArgument(f"port: a number from 1 to {MOST_PORT}")
    _check_names(wanted)


def _check_names(wanted: Wanted) -> None:
    for what, names in (("an option", wanted.options), ("a secret", wanted.secrets)):
        for name in names:
            if not connections.FIELD.fullmatch(name) or name.lower() in _RESERVED:
                raise InvalidArgument(
                    f"{name[:100]!r} cannot be the name of {what} of a connection: letters, digits and '_', beginning "
                    f"with a letter, and none of {', '.join(sorted(_RESERVED))}"
                )
    for name, value in wanted.options.items():
        if not isinstance(value, (str, int, float, bool)):
            raise InvalidArgument(f"the option {name!r} must be a text, a number, or true or false")
    for name, secret in wanted.secrets.items():
        if secret is not None and not 0 < len(secret.encode()) <= LARGEST:
            raise InvalidArgument(f"the secret {name!r} has from 1 to {LARGEST} bytes; null removes it")
    lower = [name.lower() for name in wanted.options] + [name.lower() for name, v in wanted.secrets.items() if v]
    if twice := sorted({name for name in lower if lower.count(name) > 1}):
        raise InvalidArgument(f"{', '.join(twice)}: given twice; upper and lower case, options and secrets share names")


def _write(name: str, wanted: Wanted, *, project: str, domain: str, actor: str) -> tuple[Connection, bool]:
    now = timezone.now()
    with transaction.atomic():
        rows = Connection.objects.select_for_update().filter(project=project, domain=domain)
        row = rows.filter(name__iexact=name).first()
        made = row is None
        if row is None:
            row = Connection(project=project, domain=domain, name=name, created_by=actor, created_at=now)
        secrets = dict(connections.secrets_of(row)) | {key: v for key, v in wanted.secrets.items() if v is not None}
        secrets = {key: value for key, value in secrets.items() if wanted.secrets.get(key, value) is not None}
        if both := {key.lower() for key in secrets} & {key.lower() for key in wanted.options}:
            raise InvalidArgument(f"{', '.join(sorted(both))}: a secret of the connection already; null removes it")
        for column in (*_LENGTHS, "port"):
            setattr(row, column, getattr(wanted, column))
        row.options, row.secret_names = dict(wanted.options), sorted(secrets)
        row.sealed = connections.sealed(row, secrets)
        row.updated_by, row.updated_at = actor, now
        row.save()
        record(actor, "connection.create" if made else "connection.replace", row)
    return row, made
