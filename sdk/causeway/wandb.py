"""Runs of Weights & Biases that were kept on this machine (`mode="offline"`), as versions: without an account.

Each is a folder `offline-run-*` with one file of records (`run-ID.wandb`). What the records say is read by the messages
of the `wandb` package, which is therefore needed here; how they lie one behind the other is LevelDB's log.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causeway.http import CausewayError
from causeway.trackers import Tracked
from causeway.version import Version

MAGIC = b":W&B"
HEADER, BLOCK = 7, 32768  # bytes: of the file and of each piece, and what a piece never crosses
WHOLE, LAST = 1, 4  # kinds of pieces with which a record ends
DIGEST_SHOWN = 12


@dataclass
class _Run:
    """What the records of one run come to."""

    folder: Path
    id: str = ""
    project: str = ""
    name: str = ""
    notes: str = ""
    host: str = ""
    tags: list[str] = field(default_factory=list)
    began: float = 0
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    models: list[Any] = field(default_factory=list)  # artifacts of the type model
    ended_well: bool = False


class OfflineRuns:
    """:param folder: that has `offline-run-*`: `wandb` where the runs were started"""

    def __init__(self, folder: Path) -> None:
        try:
            from wandb.proto import wandb_internal_pb2  # type: ignore[import-not-found, unused-ignore]
        except ModuleNotFoundError:
            raise CausewayError("reading runs of Weights & Biases needs its package: pip install wandb") from None
        self.messages = wandb_internal_pb2
        self.files = sorted(folder.glob("offline-run-*/run-*.wandb"))
        if not self.files:
            raise CausewayError(f"{folder} has no runs that were kept offline (offline-run-*)")

    def models(self, name: str) -> Iterator[Tracked]:
        """What runs logged as artifacts of the type `model`. Versions have no numbers before they are synchronised."""
        found = [(run, model) for run in self._finished() for model in run.models if model.name == name]
        if not found:
            raise CausewayError(f"no finished run has logged a model {name}")
        for run, model in found:
            digest = model.digest[:DIGEST_SHOWN]
            about = json.loads(model.metadata or "{}")
            yield Tracked(
                artifact=name,
                version=f"wandb-{digest}",
                uri=f"wandb://{run.host}/{run.project}/{name}@{model.digest}",
                kind="model",
                description=model.description,
                producer=f"wandb:{run.name or run.id}",
                metrics=_numbers(run.summary),
                metadata={**_texts(run), **_flat(about, shown=str), "wandb.aliases": ", ".join(model.aliases)},
            )

    def runs(self, experiment: str) -> Iterator[Tracked]:
        """Of the project of that name, those that ended well."""
        found = [run for run in self._finished() if run.project == experiment]
        if not found:
            raise CausewayError(f"no finished run is of the project {experiment}")
        for run in found:
            yield Tracked(
                artifact=experiment,
                version=run.id,
                uri=f"wandb://{run.host}{run.folder}",
                kind="other",
                description=run.notes,
                producer=f"wandb:{run.name or run.id}",
                metrics=_numbers(run.summary),
                metadata=_texts(run),
            )

    def register(self, name: str, version: Version) -> str:
        raise CausewayError("runs that are kept offline have no registry of models")

    def _finished(self) -> list[_Run]:
        found = [self._read(file) for file in self.files]
        return sorted((run for run in found if run.ended_well), key=lambda run: run.began)

    def _read(self, file: Path) -> _Run:
        run = _Run(file.parent.resolve())
        try:
            for piece in records(file.read_bytes()):
                self._take(run, self.messages.Record.FromString(piece))
        except (OSError, ValueError, struct.error, self._broken) as error:
            raise CausewayError(f"{file} cannot be read: {error}") from error
        return run

    @property
    def _broken(self) -> type[Exception]:
        from google.protobuf.message import DecodeError

        return DecodeError

    def _take(self, run: _Run, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            said = record.run
            run.id, run.project, run.name, run.notes = said.run_id, said.project, said.display_name, said.notes
            run.host, run.tags, run.began = said.host, list(said.tags), said.start_time.ToNanoseconds() / 1e9
            _update(run.config, said.config)
        elif kind in ("config", "summary"):
            _update(getattr(run, kind), getattr(record, kind))
        elif kind == "artifact" and record.artifact.type == "model":
            run.models.append(record.artifact)
        elif kind == "exit":
            run.ended_well = record.exit.exit_code == 0


def records(data: bytes) -> Iterator[bytes]:
    """The records of a file; of one that a run still writes, those that are whole."""
    if not data.startswith(MAGIC):
        raise ValueError("it is no file of Weights & Biases")
    at, kept = HEADER, b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0:  # what fills a block
            at += left
            continue
        if at + HEADER + size > len(data):
            return
        kept += data[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (WHOLE, LAST):
            yield kept
            kept = b""


def _update(values: dict[str, Any], said: Any) -> None:
    for item in said.update:
        values[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
    for item in said.remove:
        values.pop(item.key or ".".join(item.nested_key), None)


def _flat(values: Mapping[str, Any], *, shown: Any, under: str = "") -> dict[str, Any]:
    """Nested ones by their path; what W&B says of itself (`_step`, `_wandb`) is left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key.startswith("_"):
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, shown=shown, under=f"{under}{key}.")
        elif (said := shown(value)) is not None:
            found[f"{under}{key}"] = said
    return found


def _numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    def number(value: Any) -> float | None:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    return _flat(summary, shown=number)


def _texts(run: _Run) -> dict[str, str]:
    params = {f"param.{key}": text for key, text in _flat(run.config, shown=str).items()}
    return {
        **params,
        "wandb.run": run.id,
        "wandb.project": run.project,
        **({"tags": ", ".join(run.tags)} if run.tags else {}),
    }
