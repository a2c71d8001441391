"""Lineage and retention over the REST API: `Client().lineage` and `Client().retention`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causeway.client import Client
    from causeway.version import Version


class Lineage:
    """Where versions came from and where they went. A version is given as the client found it, or by its id."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _get(self, path: str, **parameters: Any) -> Any:
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        return self._client.connection.call("GET", path, params=given)

    def graph(
        self, version: Version | int, *, direction: str = "upstream", depth: int | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """All that the version was made of (`upstream`) or that was made of it (`downstream`): nodes and edges."""
        return dict(self._get(f"{_path(version)}/lineage", direction=direction, depth=depth, limit=limit))

    def export(
        self, version: Version | int, form: str, *, direction: str = "upstream", depth: int | None = None
    ) -> str:
        """The same as text: `json`, `dot`, `mermaid` or `openlineage`."""
        options = {"direction": direction, "depth": depth, "format": form, "limit": 10_000}
        return self._text(f"{_path(version)}/lineage", options)

    def trained_on(self, version: Version | int) -> list[dict[str, Any]]:
        """Every dataset in the version's ancestry, nearest first."""
        return list(self._get(f"{_path(version)}/trained-on", limit=10_000)["results"])

    def feeds(self, version: Version | int) -> list[dict[str, Any]]:
        """Everything that was made of the version, nearest first."""
        return list(self._get(f"{_path(version)}/feeds", limit=10_000)["results"])

    def staleness(self, version: Version | int) -> dict[str, Any]:
        """Whether something that the version was made of has been published anew since, and what."""
        return dict(self._get(f"{_path(version)}/staleness"))

    def stale(self, *, project: str = "", domain: str = "", name: str = "") -> list[dict[str, Any]]:
        """Newest versions that are out of date, with what was used and what is there by now."""
        return list(self._get("artifact-versions/stale", project=project, domain=domain, name=name)["results"])

    def compare(self, first: Version | int, second: Version | int) -> dict[str, Any]:
        """What is different between two versions: ancestry, metadata, metrics, partitions, card."""
        return dict(self._get(f"{_path(first)}/compare/{_id(second)}"))

    def map(self, *, project: str = "", domain: str = "", name: str = "") -> dict[str, Any]:
        """Which artifacts are made of which: of one, a project, or all."""
        return dict(self._get("lineage/map", project=project, domain=domain, name=name))

    def export_map(self, form: str, *, project: str = "", domain: str = "", name: str = "") -> str:
        """The map as text: `json`, `dot` or `mermaid`."""
        return self._text("lineage/map", {"project": project, "domain": domain, "name": name, "format": form})

    def _text(self, path: str, options: dict[str, Any]) -> str:
        given = {name: value for name, value in options.items() if value not in (None, "")}
        return str(self._client.connection.raw("GET", path, params=given).text)


class Retention:
    """Which versions of an artifact stay, and letting go of those that need not."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, method: str, name: str, rest: str, **options: Any) -> Any:
        return self._client.connection.call(method, f"{self._client.artifact_path(name)}/{rest}", **options)

    def policy(self, name: str) -> dict[str, Any]:
        """CausewayError (404): there is none, and everything is kept."""
        return dict(self._call("GET", name, "retention"))

    def set_policy(
        self, name: str, *, keep_newest: int | None = None, keep_days: float | None = None, keep_ancestors: bool = True
    ) -> dict[str, Any]:
        """A version goes when every rule that is given lets it go, and nothing needs it."""
        body = {"keep_newest": keep_newest, "keep_days": keep_days, "keep_ancestors": keep_ancestors}
        return dict(self._call("PUT", name, "retention", json=body))

    def delete_policy(self, name: str) -> None:
        """Keep everything from now on."""
        self._call("DELETE", name, "retention")

    def plan(self, name: str, **rules: Any) -> dict[str, Any]:
        """What would go now, and why everything else stays; with rules (as of set_policy), of those."""
        given = {rule: value for rule, value in rules.items() if value is not None}
        return dict(self._call("GET", name, "retention/plan", params=given))

    def run(self, name: str) -> int:
        """Apply the policy now; the number of versions removed."""
        return int(self._call("POST", name, "retention/run")["removed"])

    def removals(self, name: str) -> Iterator[dict[str, Any]]:
        """Every removal of a version of the artifact, newest first."""
        yield from self._client.connection.pages(f"{self._client.artifact_path(name)}/removals")

    def remove(
        self, version: Version | int, *, reason: str = "", tombstone: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Remove one version. `tombstone`: also when kept versions were made of it, whose lineage stays whole."""
        asked = {"reason": reason, "tombstone": tombstone, "dry_run": dry_run}
        return dict(self._client.connection.call("DELETE", _path(version), params=asked))


def _id(version: Version | int) -> int:
    return version if isinstance(version, int) else version.id


def _path(version: Version | int) -> str:
    return f"artifact-versions/{_id(version)}"
