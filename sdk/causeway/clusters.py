"""Kubernetes clusters that tasks run on: for administrators of the platform. Kubeconfigs only go in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from causeway.client import Client


class Clusters:
    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, name: str) -> dict[str, Any]:
        """Its settings, who set them and when, and whether the process that looks after its pods is alive."""
        return dict(self._client.connection.call("GET", _path(name)))

    def set(
        self, name: str, description: Mapping[str, Any] | str = "", *, kubeconfig: str | None = None
    ) -> dict[str, Any]:
        """Set a cluster, or replace its description: a mapping, or YAML or JSON.

        `kubeconfig` is its text; None: the one that was set stays; empty: none.
        """
        return dict(self._client.connection.repeat("PUT", _path(name), json=_body(description, kubeconfig)))

    def change(
        self, name: str, changes: Mapping[str, Any] | str = "", *, kubeconfig: str | None = None
    ) -> dict[str, Any]:
        """Change only what is named; None takes a setting away. `{"open": False}` closes it for new attempts."""
        return dict(self._client.connection.repeat("PATCH", _path(name), json=_body(changes, kubeconfig)))

    def drain(self, name: str, *, wait: float = 0) -> dict[str, Any]:
        """Close it, and wait up to so many seconds until no attempt is on it; returns it as it is then."""
        until = time.monotonic() + wait
        row = self.change(name, {"open": False})
        while row["attempts"] and time.monotonic() < until:
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
            row = self.get(name)
        return row

    def remove(self, name: str) -> None:
        """Refused while attempts are on it."""
        self._client.connection.call("DELETE", _path(name))

    def overview(self, name: str) -> dict[str, Any]:
        """`answers`, `version`, `capacity` (by resource and model of GPU: `allocatable`, `used`), `lines`: of now."""
        return dict(self._client.connection.call("GET", f"{_path(name)}/overview"))

    def check(self, name: str) -> list[str]:
        """What it has and what is missing there, line by line, asked of it now."""
        return list(self.overview(name)["lines"])

    def kept(self) -> list[dict[str, Any]]:
        """Spark, Dask and Ray that stay on machines for later tasks: `form`, `project`, `in_use` and so on."""
        return list(self._client.connection.call("GET", "kept-clusters")["results"])

    def list(self) -> list[dict[str, Any]]:
        """All of them, those of the settings file first."""
        return list(self._client.connection.call("GET", "clusters")["results"])


def _path(name: str) -> str:
    return f"clusters/{quote(name, safe='')}"


def _body(description: Mapping[str, Any] | str, kubeconfig: str | None) -> dict[str, Any]:
    given = description if isinstance(description, str) else dict(description)
    return {"description": given, **({} if kubeconfig is None else {"kubeconfig": kubeconfig})}
