"""Checks, policies of aliases, quarantine: whether versions are good enough, and for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from causeway.client import Client
    from causeway.version import Version


def _segment(text: str) -> str:
    return quote(text, safe="")


class Governance:
    """`name` is an artifact's, plain or as a flyte:// address; `version` a version of it, or an alias."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, method: str, name: str, rest: str, **options: Any) -> Any:
        return self._client.connection.call(method, f"{self._client.artifact_path(name)}/{rest}", **options)

    def checks(self, name: str) -> list[dict[str, Any]]:
        """The checks that judge each new version."""
        return list(self._call("GET", name, "checks"))

    def set_check(
        self,
        name: str,
        check: str,
        kind: str,
        *,
        partitions: Mapping[str, str] | None = None,
        severity: str = "block",
        **parameters: Any,
    ) -> dict[str, Any]:
        """Set a check, in the place of one of that name; the newest versions are judged by it at once.

        :param kind: metric, comparison, rows, schema, freshness, drift, concept, reported or program
        :param partitions: only versions with these values are judged
        :param severity: "block", or "warn": people are told, and nothing is held up
        :param parameters: as the kind takes them: metric="auc", at_least=0.8
        """
        body = {"kind": kind, "parameters": parameters, "partitions": dict(partitions or {}), "severity": severity}
        return dict(self._call("PUT", name, f"checks/{_segment(check)}", json=body))

    def remove_check(self, name: str, check: str) -> None:
        """Judge nothing by it any more; what it said stays."""
        self._call("DELETE", name, f"checks/{_segment(check)}")

    def results(self, name: str, version: str = "latest") -> list[dict[str, Any]]:
        """What checks say of a version."""
        return list(self._call("GET", name, f"versions/{_segment(version)}/checks"))

    def run_checks(self, name: str, version: str = "latest") -> list[dict[str, Any]]:
        """Judge a version again, by the checks as they are now."""
        return list(self._call("POST", name, f"versions/{_segment(version)}/checks"))

    def report(self, name: str, version: str, check: str, passed: bool | None = None, **said: Any) -> dict[str, Any]:
        """Report what a check of your own says of a version; `said`: value, message, numbers, evidence, severity."""
        body = {key: one for key, one in {"passed": passed, **said}.items() if one is not None}
        return dict(self._call("PUT", name, f"versions/{_segment(version)}/checks/{_segment(check)}", json=body))

    def quarantine(self, name: str, version: str, *, reason: str) -> None:
        """Have queries and `latest` pass the version over, unless they ask for it."""
        self._call("PUT", name, f"versions/{_segment(version)}/quarantine", json={"reason": reason})

    def release(self, name: str, version: str, *, reason: str) -> None:
        """Have queries find it again."""
        self._call("DELETE", name, f"versions/{_segment(version)}/quarantine", params={"reason": reason})

    def policy(self, name: str, alias: str) -> dict[str, Any]:
        """The alias's policy, and what of it holds for the version that it names, or for each of its `pointers`.
        CausewayError (404): it has none.
        """
        return dict(self._call("GET", name, f"aliases/{_segment(alias)}/policy"))

    def set_policy(self, name: str, alias: str, **rules: Any) -> dict[str, Any]:
        """Set what must hold for the alias to name a version.

        :param rules: checks, partitions, per, approvals, approvers, role, force_role, quiet, automatic, fall_back;
            per=["region"]: the alias names a version for each region
        """
        return dict(self._call("PUT", name, f"aliases/{_segment(alias)}/policy", json={"rules": rules}))

    def remove_policy(self, name: str, alias: str) -> None:
        """Let whoever may decide move the alias."""
        self._call("DELETE", name, f"aliases/{_segment(alias)}/policy")

    def review(self, name: str, alias: str, version: str) -> dict[str, Any]:
        """What of the alias's policy holds for the version, and the `digest` of all there is to look at."""
        return dict(self._call("GET", name, f"aliases/{_segment(alias)}/approvals", params={"version": version}))

    def approve(
        self, name: str, alias: str, version: str, *, approve: bool = True, comment: str = "", digest: str = ""
    ) -> dict[str, Any]:
        """Say that the alias may name the version, or may not. The last word of each counts.

        :param digest: of what you looked at, by `review`; CausewayError (409) where it changed since
        """
        body = {"version": version, "approve": approve, "comment": comment, "digest": digest}
        return dict(self._call("POST", name, f"aliases/{_segment(alias)}/approvals", json=body))

    def happenings(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """What happened, newest first; `filters`: project, domain, kind, version (id), execution_key, name, actor,
        unfinished (true: of which something is tried again, or was given up)."""
        return self._client.connection.pages("happenings", **filters)


def report_check(
    version: Version | str,
    check: str,
    passed: bool | None = None,
    *,
    value: float | None = None,
    message: str = "",
    numbers: Mapping[str, float] | None = None,
    evidence: Mapping[str, Any] | None = None,
    severity: str = "",
    client: Client | None = None,
) -> dict[str, Any]:
    """Report what a check of your own says of a published version; of one that a task publishes, see `Check`.

    :param version: a `Version`, or the name of an artifact as `Client.get` takes it: `model@v3`, `model:champion`
    :param passed: whether it holds; None with a `value` that the artifact's check has bounds for
    :param severity: "block" or "warn", of a check that the artifact does not have
    :param client: default: one for the address and token in the environment
    :returns: what the check says of the version now: status, message, numbers
    """
    if isinstance(version, str):
        from causeway.client import Client as Connected

        version = (client or Connected()).get(version)
    said: dict[str, Any] = {"passed": passed, "value": value, "message": message, "severity": severity}
    said |= {"numbers": dict(numbers or {}), "evidence": dict(evidence or {})}
    body = {key: one for key, one in said.items() if one not in (None, "", {})}
    return dict(version.connection.call("PUT", f"{version.path}/checks/{_segment(check)}", json=body))
