"""Versions on their way: promotion, holds and pins, erasing, service levels, and why something is as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from causeway.version import Version

if TYPE_CHECKING:
    from causeway.client import Client


class Stewardship:
    """Over the REST API; versions are given as they are found, or by their ids."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return dict(self._client.connection.call(method, path, **options))

    def promote(
        self,
        version: Version | int,
        domain: str,
        *,
        project: str = "",
        name: str = "",
        alias: str = "",
        reason: str = "",
    ) -> dict[str, Any]:
        """Take the version to another domain by reference: at once, or when those approve who have to (`state`)."""
        body = {"domain": domain, "name": name, "alias": alias, "reason": reason}
        body |= {"project": project} if project else {}
        return self._call("POST", f"{_path(version)}/promote", json=body)

    def promotions(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Newest first; `filters`: project and domain (where to), state, version (an id)."""
        return self._client.connection.pages("promotions", **filters)

    def decide_promotion(self, promotion: int, *, approve: bool, comment: str = "") -> dict[str, Any]:
        """One vote about a promotion that waits."""
        return self._call("POST", f"promotions/{promotion}/decide", json={"approve": approve, "comment": comment})

    def why(self, version: Version | int) -> dict[str, Any]:
        """Every decision that led to the version, in order: `steps`, each with its proof."""
        return self._call("GET", f"{_path(version)}/why")

    def why_execution(self, name: str) -> dict[str, Any]:
        """Every decision that led to the execution, and to what it took in."""
        scope = "/".join(quote(part, safe="") for part in (self._client.project, self._client.domain, name))
        return self._call("GET", f"executions/{scope}/why")

    def hold(self, version: Version | int, reason: str, *, legal: bool = False) -> dict[str, Any]:
        """Keep a version: by a pin, or by a legal hold from every removal."""
        body = {"kind": "legal" if legal else "pin", "reason": reason}
        return self._call("POST", f"{_path(version)}/hold", json=body)

    def hold_artifact(self, name: str, reason: str) -> dict[str, Any]:
        """A legal hold of every version of an artifact, those to come too."""
        path = f"{self._client.artifact_path(name)}/hold"
        return self._call("POST", path, json={"kind": "legal", "reason": reason})

    def release(self, hold: int, *, reason: str = "") -> dict[str, Any]:
        """Let it go again; a legal hold with a reason."""
        return self._call("POST", f"holds/{hold}/release", json={"reason": reason})

    def holds(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """What is held; `filters`: project, domain, artifact, version (an id), kind, released."""
        return self._client.connection.pages("holds", **filters)

    def plan_erasure(self, version: Version | int, *, derived: bool = False) -> dict[str, Any]:
        """What erasing would do: all that was made of the version, and the bytes before and after."""
        return self._call("GET", f"{_path(version)}/erase", params={"derived": derived})

    def erase(self, version: Version | int, reason: str, *, derived: bool = False) -> dict[str, Any]:
        """Erase a version for good, with `derived` everything that was made of it; tombstones stay."""
        return self._call("POST", f"{_path(version)}/erase", json={"reason": reason, "derived": derived})

    def levels(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Service levels with how well each was kept; `filters`: project, domain."""
        return self._client.connection.pages("service-levels", **filters)

    def set_level(self, kind: str, name: str, *, partitions: Mapping[str, str] | None = None, **of: Any) -> int:
        """Promise something: `new_by` (time, zone), `fresh`, `ends_within` or `p95_within` (seconds). The id."""
        body = {"project": self._client.project, "domain": self._client.domain, "kind": kind, "name": name, **of}
        return int(self._call("POST", "service-levels", json={**body, "partitions": dict(partitions or {})})["id"])

    def level(self, level: int) -> dict[str, Any]:
        """One of them, with how it was kept day by day."""
        return self._call("GET", f"service-levels/{level}")

    def outcomes(self, level: int, **filters: Any) -> Iterator[dict[str, Any]]:
        """What came of it, newest first; `met=False`: breaches."""
        return self._client.connection.pages(f"service-levels/{level}/outcomes", **filters)

    def remove_level(self, level: int) -> None:
        """It is looked at no more; what came of it stays."""
        self._client.connection.call("DELETE", f"service-levels/{level}")

    def availability(self, *, days: float = 30) -> dict[str, Any]:
        """Causeway's own: when it was down, and what was lost or broke."""
        return self._call("GET", "availability", params={"days": days})


def _path(version: Version | int) -> str:
    return f"artifact-versions/{version if isinstance(version, int) else version.id}"
