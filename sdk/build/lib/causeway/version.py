"""One version of an artifact, and its data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

from causeway.http import CausewayError, Connection
from causeway.transfers import Progress, download, no_progress
from causeway.values import to_python


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
    def kind(self) -> str:
        return str(self.fields["kind"])

    @property
    def partitions(self) -> dict[str, str]:
        return dict(self.fields["partitions"])

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.fields["metrics"])

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.fields["metadata"])

    @property
    def uri(self) -> str:
        """Where the data lies; empty for a plain value."""
        return str(self.fields["uri"])

    @property
    def address(self) -> str:
        """The flyte:// address that always finds this version."""
        key = "/".join(quote(str(self.fields[part]), safe="") for part in ("project", "domain", "name"))
        return f"flyte://av0.1/{key}@{quote(self.version, safe='+')}"

    @property
    def value(self) -> Any:
        """The value, as JSON gives it: numbers, text, lists, objects; for offloaded data a description of it."""
        return self._data()["value"]

    @property
    def path(self) -> str:
        """Below /api/v1/."""
        key = "/".join(quote(str(self.fields[part]), safe="") for part in ("project", "domain", "name"))
        return f"artifacts/{key}/versions/{quote(self.version, safe='')}"

    def _data(self) -> dict[str, Any]:
        return dict(self.connection.call("GET", f"{self.path}/object"))

    def details(self) -> dict[str, Any]:
        """All that is known of it: type, value, content hash, aliases and so on."""
        return dict(self.connection.call("GET", self.path))

    def pull(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        allow_pickle: bool = False,
        progress: Progress = no_progress,
    ) -> Any:
        """The Python value: plain values as they are, files and directories as a Path, datasets as a data frame.

        :param folder: where files go; default: a new temporary directory
        :param allow_pickle: unpickle, which runs code of whoever published it
        :raises CausewayError: for a pickle that was not allowed, or data that lies elsewhere and cannot be read here
        """
        data = self._data()
        pieces = {piece["uri"]: piece["files"] for piece in data["objects"]}
        if data["uri"]:
            pieces[data["uri"]] = data["files"]
        target = Path(folder) if folder is not None else None

        def fetch(uri: str) -> Path:
            nonlocal target
            target = target or Path(mkdtemp(prefix="causeway-"))
            place = target if len(pieces) < 2 else target / str(list(pieces).index(uri))
            return self._fetch(uri, pieces.get(uri, []), place, progress)

        return to_python(data["value"], data["type"], fetch, allow_pickle=allow_pickle)

    @property
    def has_files(self) -> bool:
        """Whether there is something to download: False for a plain value."""
        return bool(self.uri or self._data()["objects"])

    def download(self, folder: str | os.PathLike[str], *, progress: Progress = no_progress) -> Path:
        """Download the data into `folder`; returns the file, or the folder when the data is a directory.

        Lists and maps of files are downloaded one by one, in their order, into folders called 0, 1, 2 ...

        :raises CausewayError: for a plain value, or data that lies outside Causeway's object store.
        """
        data, target = self._data(), Path(folder)
        if data["uri"]:
            return self._fetch(data["uri"], data["files"], target, progress)
        if not data["objects"]:
            raise CausewayError(f"{self.name}@{self.version} is a plain value and has no files: read `value`")
        for number, piece in enumerate(data["objects"]):
            self._fetch(piece["uri"], piece["files"], target / str(number), progress)
        return target

    def _fetch(self, uri: str, files: list[dict[str, Any]], target: Path, progress: Progress) -> Path:
        if not files:
            raise CausewayError(
                f"{self.name}@{self.version} has no files to download: it refers to {uri}, which is not in Causeway's "
                "own object store"
            )
        single = len(files) == 1 and not files[0]["path"]
        known = str(self.fields.get("content_hash") or "") if single and uri == self.uri else ""
        sha256 = known if f"/{known}/" in uri else ""
        for file in files:
            name = file["path"] or PurePosixPath(uri).name or "data"
            path = target / name
            if not path.resolve().is_relative_to(target.resolve()):
                raise CausewayError(f"{name!r} would lie outside {target}")
            download(
                file["url"],
                path,
                size=file["size_bytes"],
                identity=f"{uri}/{file['path']}",
                sha256=sha256,
                progress=progress,
            )
        return target / (PurePosixPath(uri).name or "data") if single else target

    def card(self) -> str:
        """The card as safe HTML. CausewayError (404) when there is none."""
        return self.connection.raw("GET", f"{self.path}/card").text

    def lineage(self) -> dict[str, Any]:
        """Who produced this version and who used it, one hop."""
        return dict(self.connection.call("GET", f"{self.path}/lineage"))

    def set_alias(self, alias: str, *, reason: str = "", expected: str | None = "") -> None:
        """Point an alias at this version.

        :param expected: the version it must be at now, None: it must not exist; otherwise CausewayError (409)
        """
        body: dict[str, Any] = {"version": self.version, "reason": reason}
        body |= {"expected": expected} if expected != "" else {}
        artifact = self.path.rpartition("/versions/")[0]
        self.connection.call("PUT", f"{artifact}/aliases/{quote(alias, safe='')}", json=body)
