"""The artifact client: find, publish, pull and follow artifacts from any Python program.

from causeway.client import Client

model = Client().get("ml-model", partitions={"region": "north"})
model.download("model/")
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from causeway.cards import Card, CardFormat
from causeway.http import CausewayError, Connection

__all__ = ["CausewayError", "Client", "Version"]

TIMEOUT_MARGIN = 60  # seconds, over what the server was asked to wait


@dataclass(frozen=True)
class Version:
    """One version of an artifact, as the API describes it; `fields` holds everything it said."""

    connection: Connection
    fields: Mapping[str, Any]

    @property
    def id(self) -> int:
        return int(self.fields["id"])

    @property
    def name(self) -> str:
        return str(self.fields["name"])

    @property
    def version(self) -> str:
        return str(self.fields["version"])

    @property
    def partitions(self) -> dict[str, str]:
        return dict(self.fields["partitions"])

    @property
    def value(self) -> Any:
        """The value, as JSON gives it: numbers, text, lists, objects; for offloaded data a description of it."""
        return self.connection.call("GET", f"{self._path}/object")["value"]

    @property
    def _path(self) -> str:
        key = "/".join(str(self.fields[part]) for part in ("project", "domain", "name"))
        return f"artifacts/{key}/versions/{self.version}"

    def download(self, folder: str | os.PathLike[str]) -> Path:
        """Download the data into `folder`; returns the file, or the folder when the data is a directory.

        :raises CausewayError: for a plain value, or data that lies outside Causeway's object store.
        """
        files = self.connection.call("GET", f"{self._path}/object")["files"]
        if not files:
            where = self.fields["uri"] or "a plain value: read `value`"
            raise CausewayError(f"{self.name}@{self.version} has no files to download; it is {where}")
        target = Path(folder)
        if len(files) == 1 and not files[0]["path"]:
            path = target / (PurePosixPath(self.fields["uri"]).name or "data")
            self.connection.fetch(files[0]["url"], path)
            return path
        for file in files:
            path = (target / file["path"]).resolve()
            if not path.is_relative_to(target.resolve()):
                raise CausewayError(f"{file['path']!r} would lie outside {target}")
            self.connection.fetch(file["url"], path)
        return target

    def lineage(self) -> dict[str, Any]:
        """Who produced this version and who used it, one hop."""
        return dict(self.connection.call("GET", f"{self._path}/lineage"))


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

    def _artifact(self, name: str) -> str:
        return f"artifacts/{self.project}/{self.domain}/{name}"

    def search(self, text: str = "") -> Iterator[Version]:
        """Versions that match words and filters such as `name:ml-model region=north`, newest first."""
        for fields in self.connection.pages("artifact-versions", q=text):
            yield Version(self.connection, fields)

    def get(
        self,
        name: str,
        *,
        version: str = "",
        alias: str = "",
        partitions: Mapping[str, str] | None = None,
        time_partition: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Version:
        """The newest version that fits. CausewayError (404) says what exists instead."""
        asked: dict[str, str] = {f"partition.{key}": value for key, value in (partitions or {}).items()}
        asked |= {"version": version} if version else {}
        asked |= {"alias": alias} if alias else {}
        asked |= {"time_partition": time_partition.isoformat()} if time_partition else {}
        asked |= {"created_before": created_before.isoformat()} if created_before else {}
        found = self.connection.call("GET", f"{self._artifact(name)}/resolve", params=asked)
        return Version(self.connection, found["version"])

    def create(
        self,
        name: str,
        value: Any = None,
        *,
        file: str | os.PathLike[str] | None = None,
        uri: str = "",
        shape: str = "file",
        version: str = "",
        partitions: Mapping[str, str] | None = None,
        time_partition: datetime | None = None,
        card: Card | str | None = None,
        **details: Any,
    ) -> Version:
        """Publish a version from outside: a plain `value`, a `file` to upload, or the `uri` of data elsewhere.

        :param shape: what `uri` is: file, directory or dataset
        :param details: kind, description, metadata, metrics, granularity, format, producer, as the REST API has them
        """
        data: dict[str, Any] = {**details, "partitions": dict(partitions or {})}
        data |= {"version": version} if version else {}
        data |= {"time_partition": time_partition.isoformat()} if time_partition else {}
        if card is not None:
            data["card"] = card.text if isinstance(card, Card) else card
            html = isinstance(card, Card) and card.format == CardFormat.HTML
            data["card_format"] = "html" if html else "markdown"
        path = f"{self._artifact(name)}/versions"
        if file is not None:
            with Path(file).open("rb") as stream:
                parts = {"file": (Path(file).name, stream)}
                made = self.connection.call("POST", path, files=parts, data={"data": json.dumps(data)}, timeout=3600)
        else:
            data |= {"uri": uri, "shape": shape} if uri else {"value": value}
            made = self.connection.call("POST", path, json=data)
        return Version(self.connection, made)

    def move_alias(self, name: str, alias: str, version: str, *, reason: str = "") -> None:
        """Point an alias such as `champion` at a version."""
        body = {"version": version, "reason": reason}
        self.connection.call("PUT", f"{self._artifact(name)}/aliases/{alias}", json=body)

    def launch(
        self, launch_plan: str, inputs: Mapping[str, Any] | None = None, *, version: str = "", wait: float = 0
    ) -> dict[str, Any]:
        """Launch, and wait up to `wait` seconds for the end; returns the execution as it is then."""
        target = {"name": launch_plan} | ({"version": version} if version else {})
        body = {"project": self.project, "domain": self.domain, "launch_plan": target, "inputs": dict(inputs or {})}
        parameters = {"wait": wait} if wait else {}
        timeout = wait + TIMEOUT_MARGIN
        return dict(self.connection.call("POST", "executions", json=body, params=parameters, timeout=timeout))

    def set_active(self, launch_plan: str, version: str, *, active: bool) -> None:
        """Activate a version of a launch plan (its trigger and schedule start), or deactivate it."""
        path = f"launch-plans/{self.project}/{self.domain}/{launch_plan}/versions/{version}"
        self.connection.call("POST", f"{path}/{'activate' if active else 'deactivate'}")

    def approvals(self) -> list[dict[str, Any]]:
        """Approvals that wait for somebody, newest first."""
        return list(self.connection.pages("gates", kind="approve"))

    def decide(self, gate: int, *, approve: bool, comment: str = "") -> None:
        """Approve or reject a waiting approval by its id."""
        self.connection.call("POST", f"gates/{gate}/decide", json={"approve": approve, "comment": comment})
