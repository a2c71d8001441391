"""The artifact client: find, publish, pull and follow artifacts from any Python program.

from causeway import Client

model = Client().get("ml-model", partitions={"region": "north"})
model.download("model/")
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from causeway import addresses, publishing
from causeway.approvers import Approvers
from causeway.cards import Card
from causeway.clusters import Clusters
from causeway.connections import Connections
from causeway.connectors import Connectors
from causeway.contests import Contests
from causeway.governance import Governance
from causeway.http import CausewayError, Connection
from causeway.lineage import Lineage, Retention
from causeway.notifications import Notifications
from causeway.publishing import Content, StrPath
from causeway.quotas import Quotas
from causeway.secrets import Secrets
from causeway.stewardship import Stewardship
from causeway.transfers import Progress, no_progress
from causeway.values import to_wire
from causeway.version import Version

__all__ = ["CausewayError", "Client", "Version"]

TIMEOUT_MARGIN = 60  # seconds, over what the server was asked to wait
LONGEST_WAIT = 60  # seconds, of one request


def _segment(text: str) -> str:
    return quote(text, safe="")


def _partitions(name: str, more: Mapping[str, str] | None) -> dict[str, str]:
    """As the API takes them: those of an address, and more."""
    return {f"partition.{key}": value for key, value in {**addresses.parse(name).partitions, **(more or {})}.items()}


class Client:
    """Artifacts, launches and approvals over the REST API, in one project and domain unless told otherwise.

    :param url: of the console; default `CAUSEWAY_URL`
    :param token: default `CAUSEWAY_TOKEN`
    :param project: default `CAUSEWAY_PROJECT`, else flytesnacks
    :param domain: default `CAUSEWAY_DOMAIN`, else development
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, project: str | None = None, domain: str | None = None
    ) -> None:
        self.connection = Connection(url, token)
        self.project = project or os.environ.get("CAUSEWAY_PROJECT") or "flytesnacks"
        self.domain = domain or os.environ.get("CAUSEWAY_DOMAIN") or "development"
        self.lineage = Lineage(self)
        self.retention = Retention(self)
        self.governance = Governance(self)
        self.secrets = Secrets(self)
        self.connections = Connections(self)
        self.clusters = Clusters(self)
        self.connectors = Connectors(self)
        self.quotas = Quotas(self)
        self.approvers = Approvers(self)
        self.notifications = Notifications(self)
        self.stewardship = Stewardship(self)
        self.contests = Contests(self)

    def artifact_path(self, name: str) -> str:
        """Where the API has an artifact, named plainly or by a flyte:// address."""
        asked = addresses.parse(name)
        scope = (asked.project or self.project, asked.domain or self.domain, asked.name)
        return "artifacts/" + "/".join(map(_segment, scope))

    # Finding

    def search(self, text: str = "") -> Iterator[Version]:
        """Versions that match words and filters such as `name:ml-model region=north`, newest first."""
        for fields in self.connection.pages("artifact-versions", q=text):
            yield Version(self.connection, fields)

    def artifacts(self, text: str = "", **filters: str) -> Iterator[dict[str, Any]]:
        """Artifacts by words of their name or description; `filters` as the REST API has them: project, kind ..."""
        return self.connection.pages("artifacts", **({"q": text} if text else {}), **filters)

    def artifact(self, name: str) -> dict[str, Any]:
        """What is declared and known of an artifact: partition keys, granularity, first aliases, newest version."""
        return dict(self.connection.call("GET", self.artifact_path(name)))

    def versions(self, name: str, **filters: Any) -> Iterator[Version]:
        """The versions of an artifact, newest first; `filters` as the REST API has them: kind, created_before ..."""
        for fields in self.connection.pages(f"{self.artifact_path(name)}/versions", **filters):
            yield Version(self.connection, fields)

    def get(
        self,
        name: str,
        *,
        version: str = "",
        alias: str = "",
        partitions: Mapping[str, str] | None = None,
        time_partition: datetime | None = None,
        time_from: datetime | None = None,
        time_before: datetime | None = None,
        created_before: datetime | None = None,
        checks: str = "",
        quarantined: bool = False,
    ) -> Version:
        """The newest version that fits. CausewayError (404) says what exists instead.

        :param name: of the artifact, `name@version`, `name:alias`, or a `flyte://` address
        :param created_before: the newest as of then
        :param checks: "passed": only versions that no check blocks
        :param quarantined: versions in quarantine too
        """
        asked = addresses.parse(name)
        query = _partitions(name, partitions)
        moments = {
            "time_partition": time_partition.isoformat() if time_partition else asked.time_partition,
            "time_from": time_from.isoformat() if time_from else "",
            "time_before": time_before.isoformat() if time_before else "",
            "created_before": created_before.isoformat() if created_before else "",
        }
        query |= {"version": version or asked.version, "alias": alias or asked.alias, **moments, "checks": checks}
        query |= {"quarantined": "true"} if quarantined else {}
        query = {key: value for key, value in query.items() if value or key.startswith("partition.")}
        found = self.connection.call("GET", f"{self.artifact_path(name)}/resolve", params=query)
        return Version(self.connection, found["version"])

    # Publishing

    def create(
        self,
        name: str,
        value: Any = None,
        *,
        file: StrPath | None = None,
        directory: StrPath | None = None,
        frame: Any = None,
        model: Any = None,
        uri: str = "",
        external_ref: str = "",
        shape: str = "",
        format: str = "",  # noqa: A002 (as the API calls it)
        version: str = "",
        partitions: Mapping[str, str] | None = None,
        time_partition: datetime | None = None,
        card: Card | str | None = None,
        progress: Progress = no_progress,
        **details: Any,
    ) -> Version:
        """Publish a version from outside. Publishing the same again answers with the first one.

        Exactly one says what: a plain `value` (numbers, text, lists, dicts, times; a Path or data frame is taken for
        one of the next), a `file` or `directory` to upload, a `frame` (pandas, polars, pyarrow), a `model` (a path, or
        an object to pickle), or an `external_ref`: the URI of data elsewhere, which is not copied.

        :param shape: what `external_ref` is: file, directory or dataset
        :param progress: called with what is done, bytes done and bytes in all
        :param details: kind, description, metadata, metrics, granularity, producer, content_hash, size_bytes, as the
            REST API has them
        :raises CausewayError: 400 for what does not fit the declared artifact, 409 for another value under this version
        """
        said = publishing.facts(
            version=version, partitions=partitions, time_partition=time_partition, card=card, details=details
        )
        content = Content(value, file, directory, frame, model, uri or external_ref).sorted()
        publishing.check_json({**said, **to_wire(content.value)})
        asked = addresses.parse(name)
        if asked.version or asked.alias or asked.partitions or asked.time_partition:
            raise CausewayError(f"{name!r} is more than a name: the version and its partitions are said by themselves")
        path = f"{self.artifact_path(name)}/versions"
        _, project, domain, *_ = path.split("/")
        what = publishing.members(
            content,
            self.connection,
            f"{project}/{domain}",
            shape=shape,
            data_format=format,
            progress=progress,
        )
        again = self.connection.repeat if version else self.connection.call  # a made up version would be another one
        return Version(self.connection, again("POST", path, json={**what, **said}, timeout=600))

    def create_many(self, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Publish plain values and references together, all or none.

        :param items: as the REST API has them: `name`, `value` or `uri`, `version`, `partitions` ... at most 1000
        """
        listed = [{"project": self.project, "domain": self.domain, **item} for item in items]
        return list(self.connection.call("POST", "artifact-versions/bulk", json={"items": listed})["results"])

    # Aliases

    def move_alias(
        self, name: str, alias: str, version: str, *, reason: str = "", expected: str | None = "", force: bool = False
    ) -> None:
        """Point an alias such as `champion` at a version. CausewayError (409) says what of its policy does not hold.

        An alias that its policy keeps per partition (`per`) has a pointer for each: that of the version's values moves.

        :param force: against its policy, with the role that this takes and a reason
        :param expected: the version it must be at now, None: it must not exist; otherwise CausewayError (409)
        """
        body: dict[str, Any] = {"version": version, "reason": reason}
        body |= {"expected": expected} if expected != "" else {}
        body |= {"force": True} if force else {}
        self.connection.call("PUT", f"{self.artifact_path(name)}/aliases/{_segment(alias)}", json=body)

    def remove_alias(
        self,
        name: str,
        alias: str,
        *,
        partitions: Mapping[str, str] | None = None,
        reason: str = "",
        force: bool = False,
    ) -> None:
        """Remove an alias; its history stays. `force`: against its policy, as of move_alias.

        :param partitions: of the pointer that goes, where the alias is kept per partition; the others stay
        """
        asked = {**({"reason": reason} if reason else {}), **({"force": "true"} if force else {})}
        asked |= _partitions(name, partitions)
        self.connection.call("DELETE", f"{self.artifact_path(name)}/aliases/{_segment(alias)}", params=asked)

    def aliases(
        self, name: str, alias: str = "", *, partitions: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """What an artifact's aliases name: name, partitions, version, moved_at; those moved last first.

        `alias`: of this name alone. `partitions`: its pointers for these only.
        """
        path, named = f"{self.artifact_path(name)}/aliases", {"alias": alias} if alias else {}
        return self.connection.pages(path, **named, **_partitions(name, partitions))

    def alias_history(
        self, name: str, alias: str, *, partitions: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Where an alias has been, newest first: at, partitions, from_version, to_version, actor, reason, forced,
        evidence. `partitions`: its pointers for these only.
        """
        path = f"{self.artifact_path(name)}/aliases/{_segment(alias)}/moves"
        return self.connection.pages(path, **_partitions(name, partitions))

    # Executions

    def launch(
        self,
        launch_plan: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        texts: Mapping[str, str] | None = None,
        version: str = "",
        priority: str = "",
        wait: float = 0,
    ) -> dict[str, Any]:
        """Launch, and wait up to `wait` seconds for the end; returns the execution as it is then.

        :param inputs: numbers, texts, times, bytes, lists and dicts; a `Version` feeds that artifact version
        :param texts: what a person typed for further inputs: the launch plan's types say how it is read
        :param priority: high, medium or low: whose turn comes first; empty: as the launch plan says
        """
        given = dict(inputs or {})
        target = {"name": launch_plan} | ({"version": version} if version else {})
        body = {
            "project": self.project,
            "domain": self.domain,
            "launch_plan": target,
            "inputs": {key: to_wire(each)["value"] for key, each in given.items() if not isinstance(each, Version)},
            "artifacts": {key: each.address for key, each in given.items() if isinstance(each, Version)},
            "texts": dict(texts or {}),
        } | ({"priority": priority} if priority else {})
        execution = dict(self.connection.call("POST", "executions", json=body))
        return self.wait(execution, wait) if wait else execution

    def wait(self, execution: Mapping[str, Any] | str, seconds: float) -> dict[str, Any]:
        """The execution when it has ended, or as it is after so many seconds.

        :param execution: what `launch` returned, its name, or project/domain/name
        """
        until = time.monotonic() + seconds
        path = f"executions/{self._execution(execution)}"
        while True:
            left = max(0.0, until - time.monotonic())
            asked = min(left, LONGEST_WAIT)
            found = dict(
                self.connection.call("GET", path, params={"wait": round(asked, 3)}, timeout=asked + TIMEOUT_MARGIN)
            )
            if found.get("ended_at") or time.monotonic() >= until:
                return found
            time.sleep(0.2)  # the server may answer early, when many wait

    def _execution(self, execution: Mapping[str, Any] | str) -> str:
        if not isinstance(execution, str):
            return "/".join(_segment(str(execution[part])) for part in ("project", "domain", "name"))
        named = execution.split("/") if execution.count("/") == 2 else (self.project, self.domain, execution)
        return "/".join(map(_segment, named))

    def launch_plan(self, name: str, version: str = "") -> dict[str, Any]:
        """One version, with its interface; without a version the active one, else the newest."""
        path = self._launch_plan(name)
        return dict(self.connection.call("GET", f"{path}/versions/{_segment(version)}" if version else path))

    def set_active(self, launch_plan: str, version: str, *, active: bool) -> None:
        """Activate a version of a launch plan (its trigger and schedule start), or deactivate it."""
        path = f"{self._launch_plan(launch_plan)}/versions/{_segment(version)}"
        self.connection.call("POST", f"{path}/{'activate' if active else 'deactivate'}")

    def _launch_plan(self, name: str) -> str:
        return "launch-plans/" + "/".join(map(_segment, (self.project, self.domain, name)))

    def approvals(self) -> list[dict[str, Any]]:
        """Approvals that wait for somebody, newest first."""
        return list(self.connection.pages("gates", decision=True))

    def gate(self, gate: int) -> dict[str, Any]:
        """A gate by its id: the rule that holds, the votes so far, what there is to review and its digest."""
        return dict(self.connection.call("GET", f"gates/{gate}"))

    def decide(self, gate: int, *, approve: bool, comment: str = "", digest: str = "") -> dict[str, Any]:
        """Approve or reject a waiting approval by its id; the gate as it is then. Where several have to decide, this is
        one vote. `digest`, of what was reviewed: CausewayError (409) when it changed since.
        """
        body = {"approve": approve, "comment": comment, "digest": digest}
        return dict(self.connection.call("POST", f"gates/{gate}/decide", json=body))

    def approve(self, gate: int, *, comment: str = "") -> None:
        """Approve a waiting approval by its id."""
        self.decide(gate, approve=True, comment=comment)

    def reject(self, gate: int, *, comment: str = "") -> None:
        """Reject a waiting approval by its id."""
        self.decide(gate, approve=False, comment=comment)
