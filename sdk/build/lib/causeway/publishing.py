"""What is published, from what a program has in hand: uploaded first where it is more than a plain value."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from causeway.cards import Card, CardFormat
from causeway.http import CausewayError, Connection
from causeway.transfers import Progress, look_at, upload
from causeway.values import to_wire, write_frame, write_pickle

StrPath = str | os.PathLike[str]
FRAME_MODULES = frozenset({"pandas", "polars", "pyarrow"})


@dataclass(frozen=True)
class Content:
    """Exactly one of these is what is published."""

    value: Any = None
    file: StrPath | None = None
    directory: StrPath | None = None
    frame: Any = None
    model: Any = None
    uri: str = ""

    def sorted(self) -> Content:
        """With a value that is a path or a data frame where it belongs.

        :raises CausewayError: unless there is exactly one
        """
        value = self.value
        if isinstance(value, os.PathLike):
            name = "directory" if Path(value).is_dir() else "file"
            return Content(**{**vars(self), "value": None, name: value}).sorted()
        if value is not None and type(value).__module__.partition(".")[0] in FRAME_MODULES:
            return Content(**{**vars(self), "value": None, "frame": value}).sorted()
        given = [name for name, each in vars(self).items() if each is not None and not (name == "uri" and not each)]
        if len(given) != 1:
            raise CausewayError(
                "give exactly one of a value, file, directory, frame, model and external_ref"
                + (f", not {' and '.join(given)}" if given else "")
            )
        return self


def members(
    content: Content, connection: Connection, scope: str, *, shape: str, data_format: str, progress: Progress
) -> dict[str, Any]:
    """The members of the publication that say what is published; files are uploaded.

    :param content: sorted
    :param scope: project/domain
    """
    if content.uri:
        return {"uri": content.uri, "shape": shape or "file", "format": data_format}
    with _on_disk(content) as found:
        if found is None:
            return to_wire(content.value)
        path, told, found_format, kind = found
        files, folder = look_at(path, progress)
        if folder and told == "file" or not folder and told == "directory":
            raise CausewayError(f"{path} is a {'directory' if folder else 'file'}")
        done = upload(connection, scope, files, folder=folder, progress=progress)
    default = told or ("directory" if folder else "file")
    return {
        "uri": done["uri"],
        "shape": shape or default,
        "format": data_format or found_format,
        **({"kind": kind} if kind else {}),
    }


@contextmanager
def _on_disk(content: Content) -> Iterator[tuple[Path, str, str, str] | None]:
    """Where the content lies as files, its shape, format and kind; None for a plain value."""
    with TemporaryDirectory(prefix="causeway-") as scratch:
        if content.file is not None:
            path = Path(content.file)
            yield path, "file", path.suffix.removeprefix(".").lower(), ""
        elif content.directory is not None:
            yield Path(content.directory), "directory", "", ""
        elif content.frame is not None:
            path = Path(scratch, "data.parquet")
            write_frame(content.frame, path)
            yield path, "dataset", "parquet", ""
        elif isinstance(content.model, str | os.PathLike):
            path = Path(content.model)
            yield path, "", path.suffix.removeprefix(".").lower() if path.is_file() else "", "model"
        elif content.model is not None:
            path = Path(scratch, "model.pkl")
            write_pickle(content.model, path)
            yield path, "file", "PythonPickle", "model"
        else:
            yield None


def facts(
    *,
    version: str,
    partitions: Mapping[str, str] | None,
    time_partition: datetime | None,
    card: Card | str | None,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """The members of the publication that say everything else."""
    data: dict[str, Any] = {**details, "partitions": dict(partitions or {})}
    data |= {"version": version} if version else {}
    data |= {"time_partition": time_partition.isoformat()} if time_partition else {}
    if card is not None:
        data["card"] = card.text if isinstance(card, Card) else card
        html = isinstance(card, Card) and card.format == CardFormat.HTML
        data["card_format"] = "html" if html else "markdown"
    return data


def check_json(data: Mapping[str, Any]) -> None:
    """Raises CausewayError for what JSON cannot say, before anything is uploaded."""
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CausewayError(f"this cannot be published as JSON: {error}") from None
