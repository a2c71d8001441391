"""Connections as tasks get them: secrets that a connection of the place answers.

    Secret(group="connection", key=NAME)          all of it, as JSON
    Secret(group="connection_NAME", key=FIELD)    one field of it: host, port, user, password, database, kind, url,
                                                  an option, or a secret of another name
    Secret(group="connection_NAME")               each field that it has

A secret that was set under such a name goes before. What of a connection is no secret is not masked in messages: a
port would be found in half the lines there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from scheduler.models import Connection
from scheduler.secrets.cipher import open_sealed, seal
from scheduler.secrets.names import Name

GROUP = "connection"
PASSWORD, URL = "password", "url"
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}", re.ASCII)
KIND = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*", re.ASCII)
PLAIN = ("kind", "host", "port", "user", "database")


def name_in(asked: Name) -> str:
    """The connection that a secret's name means, in lower case; empty: none."""
    group = asked.group.lower()
    if asked.version:
        return ""
    found = asked.key.lower() if group == GROUP else group.removeprefix(f"{GROUP}_")
    return found if group.startswith(GROUP) and NAME.fullmatch(found) and (asked.key or group != GROUP) else ""


def value_in(row: Connection, asked: Name) -> bytes | None:
    """What the connection answers; None where it has no such field. CannotOpen."""
    if asked.group.lower() == GROUP:
        return whole(row).encode()
    return fields(row).get(asked.key.lower()) if asked.key else None


def fields(row: Connection) -> dict[str, bytes]:
    """Every field that a task can ask for by itself, by its name in lower case. CannotOpen."""
    secrets = secrets_of(row)
    given: dict[str, Any] = {**row.options, **{name: getattr(row, name) for name in PLAIN}, **secrets}
    given[URL] = url(row, secrets)
    return {name.lower(): _text(value).encode() for name, value in given.items() if value not in (None, "")}


def whole(row: Connection) -> str:
    """As the SDK reads it (causeway.connections). CannotOpen."""
    plain = {name: getattr(row, name) for name in PLAIN}
    return json.dumps({"name": row.name, **plain, "options": row.options, "secrets": secrets_of(row)})


def masked_in(row: Connection, asked: Name) -> Iterator[bytes]:
    """What of the value that `asked` gets must not be shown."""
    secrets = secrets_of(row)
    key = asked.key.lower()
    if asked.group.lower() == GROUP or key == URL:
        yield whole(row).encode()
        yield from (value.encode() for value in secrets.values())
    else:
        yield from (value.encode() for name, value in secrets.items() if name.lower() == key)


def secrets_of(row: Connection) -> dict[str, str]:
    """What is sealed, by name. CannotOpen."""
    sealed = bytes(row.sealed)
    return dict(json.loads(open_sealed(sealed, bound_to=bound_to(row)))) if sealed else {}


def sealed(row: Connection, secrets: Mapping[str, str]) -> bytes:
    """For a row whose place and name are set."""
    return seal(json.dumps(dict(secrets)).encode(), bound_to=bound_to(row)) if secrets else b""


def bound_to(row: Connection) -> tuple[str, ...]:
    return (row.project, row.domain, GROUP, row.name.lower())


def url(row: Connection, secrets: Mapping[str, str]) -> str:
    """As SQLAlchemy and most drivers read it; empty without a kind."""
    if not row.kind:
        return ""
    password = f":{quote(secrets[PASSWORD], safe='')}" if PASSWORD in secrets else ""
    login = f"{quote(row.user, safe='')}{password}@" if row.user or password else ""
    host = f"[{row.host}]" if ":" in row.host else row.host
    port = f":{row.port}" if row.port is not None else ""
    options = urlencode({name: _text(value) for name, value in sorted(row.options.items())})
    return f"{row.kind}://{login}{host}{port}/{quote(row.database, safe='')}" + (f"?{options}" if options else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
