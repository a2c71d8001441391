"""Secrets that tasks ask for: setting and removing them, and which there are. Values only go in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causeway.client import Client


class Secrets:
    """Of the client's project and domain, unless told otherwise: an empty one means all of them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def set(
        self,
        key: str,
        value: str | bytes,
        *,
        group: str = "",
        version: str = "",
        project: str | None = None,
        domain: str | None = None,
    ) -> dict[str, Any]:
        """Set a secret, or replace its value, for tasks that start from now on."""
        raw = value.encode() if isinstance(value, str) else value
        named = {"group": group, "key": key, "version": version, **self._place(project, domain)}
        body = {**named, "value_base64": base64.b64encode(raw).decode()}
        return dict(self._client.connection.repeat("PUT", "secrets", json=body))

    def list(self, *, project: str | None = None, domain: str | None = None) -> Iterator[dict[str, Any]]:
        """Names, who set them and when: those of the project and domain, and those that hold there too."""
        place = self._place(project, domain)
        for row in self._client.connection.pages("secrets"):
            if row["project"] in ("", place["project"]) and row["domain"] in ("", place["domain"]):
                yield row

    def remove(
        self,
        key: str,
        *,
        group: str = "",
        version: str = "",
        project: str | None = None,
        domain: str | None = None,
    ) -> bool:
        """Whether there was one, at exactly this place."""
        wanted = {"group": group.lower(), "key": key.lower(), "version": version.lower()}
        place = self._place(project, domain)
        for row in self._client.connection.pages("secrets", **{k: v for k, v in place.items() if v}):
            named = {name: row[name].lower() for name in wanted}
            if named == wanted and (row["project"], row["domain"]) == (place["project"], place["domain"]):
                self._client.connection.call("DELETE", f"secrets/{row['id']}")
                return True
        return False

    def _place(self, project: str | None, domain: str | None) -> dict[str, str]:
        return {
            "project": self._client.project if project is None else project,
            "domain": self._client.domain if domain is None else domain,
        }
