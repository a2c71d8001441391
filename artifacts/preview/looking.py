"""Looks into an object within a budget of bytes and time, once: what was found is kept under its address and state."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from artifacts.exceptions import NotFound
from artifacts.kept_results import Kept
from artifacts.preview.kinds import HEAD, OBJECTS, TABLES, Kind, kind_of
from artifacts.store import store

logger = logging.getLogger(__name__)

TEXT_SHOWN = 64_000  # bytes of text
EDGE = 64 << 10  # bytes at either end that tell one state of an object from another
BEGINNING, END = 32 << 20, 8 << 20  # bytes of a remote table that are fetched
CPU_SECONDS, SECONDS = 8, 20.0
MEMORY = 4 << 30  # of addresses: pyarrow reserves more than it uses
AT_ONCE = 2  # processes that look, of each of ours
FORMAT = "2"  # of what is kept

_ROOT = Path(__file__).resolve().parent.parent.parent
_PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from artifacts.preview.reading import main; main()"
_SMALL_MEANS = {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "PATH": os.defpath}
_turns = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Preview:
    """`text` of text, JSON and Markdown as it is written; a table has columns and rows; a pickled object
    or an archive the name of its class (`what`) and its parameters, each with its value. `problem`: why there is no
    more to show. `is_cut`: there is more than is shown.
    """

    kind: Kind
    size: int
    text: str = ""
    columns: Sequence[dict[str, Any]] = ()
    more_columns: int = 0
    rows: Sequence[Sequence[str | None]] = ()
    sampled: int = 0  # rows that the statistics are of
    total_rows: int | None = None
    what: str = ""
    parameters: Sequence[Sequence[str]] = ()
    problem: str = ""
    is_cut: bool = False


def preview(uri: str) -> Preview:
    """Of one object. NotFound where there is none. It never reads all of a large one, and never waits for a turn: while
    AT_ONCE others are looked into, the preview says so.
    """
    if not store().exists(uri):
        raise NotFound(f"nothing lies at {uri}")
    size = store().size(uri)
    with store().open(uri) as stream:
        head = stream.read(HEAD)
    kind = kind_of(uri, head)
    if kind in TABLES or kind in OBJECTS:
        return _within_limits(uri, kind, size)
    if kind in (Kind.TEXT, Kind.JSON, Kind.MARKDOWN):
        return _text(uri, kind, size)
    return Preview(kind, size)


def _text(uri: str, kind: Kind, size: int) -> Preview:
    with store().open(uri) as stream:
        raw = stream.read(TEXT_SHOWN)
    text = raw.decode("utf-8", "replace")
    if kind is Kind.JSON and size <= TEXT_SHOWN:
        text = _indented(text)
    return Preview(kind, size, text=text, is_cut=size > len(raw))


def _indented(text: str) -> str:
    """As it is where it is no JSON after all, or nested too deeply to be read."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _within_limits(uri: str, kind: Kind, size: int) -> Preview:
    kept = Kept("previews", f"{FORMAT} {kind.value} {size} {_state(uri, size)} {uri}".encode(), "json")
    found = kept.read()
    if found is None:
        if not _turns.acquire(blocking=False):
            return Preview(kind, size, problem="Others are being looked into just now: try again in a moment.")
        try:
            found, is_final = _in_process(uri, kind, size)
        finally:
            _turns.release()
        if is_final:
            kept.write(found)
    told = json.loads(found)
    if told.get("problem") and kind in (Kind.CSV, Kind.JSON_LINES):
        return _text(uri, Kind.TEXT, size)
    if kind in OBJECTS:
        return Preview(kind, size, **told)
    total = told.get("total_rows")
    return Preview(kind, size, **told, is_cut=total is None or total > len(told.get("rows", ())))


def _state(uri: str, size: int) -> str:
    """What changes when the object is written anew: a hash of how it begins and ends."""
    with store().open(uri) as stream:
        digest = hashlib.sha256(stream.read(EDGE))
    if size > EDGE:
        with store().open_at(uri, max(EDGE, size - EDGE)) as stream:
            digest.update(stream.read(EDGE))
    return digest.hexdigest()


def _in_process(uri: str, kind: Kind, size: int) -> tuple[str, bool]:
    """What was found, as JSON, and whether it would be so again: an end by a busy machine would not."""
    name = uri.rsplit("/", 1)[-1]
    with _seekable(uri, size) as file:
        command = [sys.executable, "-I", "-c", _PROGRAM, kind.value, name[-100:], str(file.fileno()), str(CPU_SECONDS)]
        try:
            done = subprocess.run(  # noqa: S603 - ourselves
                [*command, str(MEMORY)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                pass_fds=(file.fileno(),),
                env=_SMALL_MEANS,
            )
        except subprocess.TimeoutExpired:
            return json.dumps({"problem": "Looking into it takes too long."}), False
    if done.returncode < 0:
        is_cpu = -done.returncode in (signal.SIGXCPU, signal.SIGKILL)
        return json.dumps({"problem": "Looking into it takes too much time or memory."}), is_cpu
    if done.returncode:
        logger.warning("%s cannot be looked into: %s", uri, done.stderr.decode(errors="replace")[-2000:])
        return json.dumps({"problem": "It cannot be looked into."}), False
    return done.stdout.decode(), True


def _seekable(uri: str, size: int) -> BinaryIO:
    """The object as a file with a descriptor. Of a large one elsewhere the beginning and the end are fetched, with a
    hole between: enough for the footer and the first rows.
    """
    stream = store().open(uri)
    try:
        stream.fileno()
        return stream
    except OSError:
        pass
    with stream:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        _copy(stream, file, BEGINNING)
    if size > BEGINNING:
        file.truncate(size)
        start = max(BEGINNING, size - END)
        file.seek(start)
        with store().open_at(uri, start) as rest:
            _copy(rest, file, END)
    file.seek(0)
    return file


def _copy(source: BinaryIO, target: Any, most: int) -> None:
    while most > 0 and (piece := source.read(min(1 << 20, most))):
        target.write(piece)
        most -= len(piece)
