"""Connections to other systems: what a task gets of one that it asks for, and setting, listing and removing them.

from causeway import connection, connection_secret

@task(secret_requests=[connection_secret("warehouse")])
def rows() -> int:
    engine = sqlalchemy.create_engine(connection("warehouse").url())
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from flytekit import Secret

    from causeway.client import Client

GROUP = "connection"


@dataclass(frozen=True)
class Connection:
    """Of a system that was set in Causeway. `kind` is the scheme of its address, as `postgresql`; `secrets` holds the
    password and whatever else is kept sealed, and is not shown by `repr`.
    """

    name: str
    kind: str = ""
    host: str = ""
    port: int | None = None
    user: str = ""
    database: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def password(self) -> str:
        """Empty where none is set."""
        return self.secrets.get("password", "")

    def url(self, scheme: str = "") -> str:
        """As SQLAlchemy and most drivers read it, with the password in it; `scheme` in place of its kind. ValueError
        where there is neither.
        """
        if not (scheme or self.kind):
            raise ValueError(f"connection {self.name} has no kind: say the scheme, as url('postgresql+psycopg')")
        password = f":{quote(self.password, safe='')}" if self.password else ""
        login = f"{quote(self.user, safe='')}{password}@" if self.user or password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        words = {name: v if isinstance(v, str) else json.dumps(v) for name, v in sorted(self.options.items())}
        address = f"{scheme or self.kind}://{login}{host}{port}/{quote(self.database, safe='')}"
        return address + (f"?{urlencode(words)}" if words else "")


def connection_secret(name: str) -> Secret:
    """What a task puts into its `secret_requests` to get the connection."""
    from flytekit import Secret

    return Secret(group=GROUP, key=name)


def connection(name: str) -> Connection:
    """In a task that asked for it. LookupError where it did not; on a laptop the variable `_FSEC_CONNECTION_<NAME>`
    may hold its JSON.
    """
    text = os.environ.get(f"_FSEC_{GROUP}_{name}".upper())
    folder = os.environ.get("FLYTE_SECRETS_DEFAULT_DIR", "")
    if text is None and folder and (file := Path(folder, GROUP, name.lower())).is_file():
        text = file.read_text()
    if text is None:
        raise LookupError(
            f"this task has no connection {name}: put connection_secret({name!r}) into its secret_requests, and have "
            "an administrator of the project set it (`causeway connection set`)"
        )
    return Connection(**json.loads(text))


class Connections:
    """Of the client's project and domain, unless told otherwise: an empty one means all of them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def set(self, name: str, *, project: str | None = None, domain: str | None = None, **wanted: Any) -> dict[str, Any]:
        """Set it, or replace it: `kind`, `host`, `port`, `user`, `database`, `options`, `password`, `secrets`. Secrets
        that are not named stay; None removes one.
        """
        body = {"name": name, **self._place(project, domain), **wanted}
        return dict(self._client.connection.repeat("PUT", "connections", json=body))

    def list(self, *, project: str | None = None, domain: str | None = None) -> Iterator[dict[str, Any]]:
        """Without their secrets: those of the project and domain, and those that hold there too."""
        place = self._place(project, domain)
        for row in self._client.connection.pages("connections"):
            if row["project"] in ("", place["project"]) and row["domain"] in ("", place["domain"]):
                yield row

    def remove(self, name: str, *, project: str | None = None, domain: str | None = None) -> bool:
        """Whether there was one, at exactly this place."""
        place = self._place(project, domain)
        for row in self._client.connection.pages("connections", **{k: v for k, v in place.items() if v}):
            if row["name"] == name and (row["project"], row["domain"]) == (place["project"], place["domain"]):
                self._client.connection.call("DELETE", f"connections/{row['id']}")
                return True
        return False

    def _place(self, project: str | None, domain: str | None) -> dict[str, str]:
        return {
            "project": self._client.project if project is None else project,
            "domain": self._client.domain if domain is None else domain,
        }
