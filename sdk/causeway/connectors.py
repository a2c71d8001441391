"""Connector services that tasks run at: for administrators of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from causeway.client import Client


class Connectors:
    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, name: str) -> dict[str, Any]:
        """Its settings, who set them and when, the task types it runs, and whether it answers."""
        return dict(self._client.connection.call("GET", _path(name)))

    def set(self, name: str, description: Mapping[str, Any] | str) -> dict[str, Any]:
        """Set a connector, or replace its description: a mapping, or YAML or JSON."""
        return dict(self._client.connection.repeat("PUT", _path(name), json=_body(description)))

    def change(self, name: str, changes: Mapping[str, Any] | str) -> dict[str, Any]:
        """Change only what is named; None takes a setting away. `{"open": False}` closes it for new attempts."""
        return dict(self._client.connection.repeat("PATCH", _path(name), json=_body(changes)))

    def remove(self, name: str) -> None:
        """Refused while it has jobs."""
        self._client.connection.call("DELETE", _path(name))

    def list(self) -> list[dict[str, Any]]:
        """All of them, those of the settings first."""
        return list(self._client.connection.call("GET", "connectors")["results"])


def _path(name: str) -> str:
    return f"connectors/{quote(name, safe='')}"


def _body(description: Mapping[str, Any] | str) -> dict[str, Any]:
    return {"description": description if isinstance(description, str) else dict(description)}
