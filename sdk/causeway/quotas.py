"""Quotas: how much may be used at once, or in a window; and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causeway.client import Client


class Quotas:
    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, project: str = "") -> list[dict[str, Any]]:
        """Those of the projects you may read and of everything, with what is in use now."""
        named = {"project": project} if project else {}
        return list(self._client.connection.call("GET", "quotas", params=named)["results"])

    def get(self, number: int) -> dict[str, Any]:
        return dict(self._client.connection.call("GET", f"quotas/{number}"))

    def set(self, resource: str, limit: float | str, **given: Any) -> dict[str, Any]:
        """Set one, or replace that of the same scope, resource and window.

        `given`: project, domain, user, launch_plan (none of them: of everything), warn_at, guaranteed, borrows_from,
        window, valid_from, valid_until.
        """
        body = {"resource": resource, "limit": limit, **{name: one for name, one in given.items() if one is not None}}
        return dict(self._client.connection.call("POST", "quotas", json=body))

    def change(self, number: int, **changes: Any) -> dict[str, Any]:
        """Change only what is named."""
        return dict(self._client.connection.repeat("PATCH", f"quotas/{number}", json=changes))

    def remove(self, number: int) -> None:
        self._client.connection.call("DELETE", f"quotas/{number}")

    def usage(self, **wanted: str) -> Any:
        """What was used; `wanted`: start, end, and by, as the REST API has them."""
        given = {name: one for name, one in wanted.items() if one}
        return self._client.connection.call("GET", "usage", params=given)["results"]

    def prices(self) -> Any:
        """All that were set: of each resource the last one that has begun holds."""
        return self._client.connection.call("GET", "prices")["results"]

    def set_price(self, resource: str, per_hour: float, *, currency: str = "", valid_from: str | None = None) -> Any:
        """What an hour of a core, a GiB, a device costs from then on (now); one of the same moment is replaced."""
        body = {"resource": resource, "per_hour": per_hour, "currency": currency, "valid_from": valid_from}
        return self._client.connection.call("POST", "prices", json=body)

    def remove_price(self, number: int) -> None:
        self._client.connection.call("DELETE", f"prices/{number}")

    def queue(self, project: str = "") -> Any:
        """What waits now and for what, of the projects you may read."""
        named = {"project": project} if project else {}
        return self._client.connection.call("GET", "queue", params=named)["results"]

    def places(self) -> Any:
        """Executors and clusters, with what is asked of them and what they have."""
        return self._client.connection.call("GET", "queue/places")["results"]
