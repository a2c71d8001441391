"""Runs a query in a process with limits, over the data of versions that its author may read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument, PermissionDenied, ResourceExhausted, SearchTooLong
from artifacts.store import LocalStore, store
from console.accounts import access
from console.accounts.models import User
from console.datasql.parse import parse
from console.datasql.resolve import Source, Table, resolve
from lineage.actions.record import record_reads

CHILD = Path(__file__).resolve().parent / "child.py"
FORMATS = ("json", "csv", "arrow")
MOST_ROWS, ROWS = 1_000_000, 10_000
AT_ONCE = 2  # queries of a web process; more are told to come again
RESULT_BYTES = 512 * 1024**2
_running = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Query:
    """`project` and `domain`: where artifacts lie that say no other. Raises InvalidArgument."""

    sql: str
    project: str
    domain: str
    format: str = "json"
    rows: int = ROWS
    seconds: int = field(default_factory=lambda: settings.CAUSEWAY_SQL_SECONDS)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InvalidArgument(f"the format is one of {', '.join(FORMATS)}, not {self.format}")
        if not 1 <= self.rows <= MOST_ROWS:
            raise InvalidArgument(f"a query answers 1 to {MOST_ROWS} rows, not {self.rows}")
        if not 1 <= self.seconds <= settings.CAUSEWAY_SQL_SECONDS:
            raise InvalidArgument(f"a query may take 1 to {settings.CAUSEWAY_SQL_SECONDS} seconds, not {self.seconds}")


@dataclass(frozen=True)
class Answer:
    """`body` holds the rows in the format that was asked for, from its beginning; who takes it closes it.

    `versions` are those that were read.
    """

    columns: list[dict[str, str]]
    rows: int
    truncated: bool
    versions: list[dict[str, Any]]
    body: BinaryIO


def run(query: Query, *, user: User) -> Answer:
    """PermissionDenied for who may read nothing; InvalidArgument with DuckDB's own words for a wrong query;
    ResourceExhausted for one over its limits of memory or size, and while others run; SearchTooLong for one over its
    time.
    """
    if access.known_projects(user) == []:  # also of a token that is not for reading: any query takes time
        raise PermissionDenied("queries are for who may read a project")
    parsed = parse(query.sql)
    tables = resolve(parsed.references, user=user, project=query.project, domain=query.domain)
    sources = [source for table in tables.values() for source in table.sources]
    if (size := sum(source.bytes for source in sources)) > settings.CAUSEWAY_SQL_MAX_BYTES:
        raise ResourceExhausted(
            f"the query reads {size} bytes, and may read {settings.CAUSEWAY_SQL_MAX_BYTES}: name fewer versions"
        )
    if not _running.acquire(blocking=False):
        raise ResourceExhausted(f"{AT_ONCE} queries are running already: try again in a moment")
    body = tempfile.TemporaryFile()  # noqa: SIM115 - who takes the answer closes it
    try:
        with _opened(tables) as (described, files):
            told = _child(parsed.sql, query, described, [*files, body.fileno()], body.fileno())
    except BaseException:
        body.close()
        raise
    finally:
        _running.release()
    with transaction.atomic():
        record_reads({source.version.pk for source in sources}, by=user.get_username(), at=timezone.now())
    body.seek(0)
    return Answer(told["columns"], told["rows"], told["truncated"], [_told(source) for source in sources], body)


def _told(source: Source) -> dict[str, Any]:
    version = source.version
    project, domain, name = version.artifact.key
    return {"id": version.pk, "project": project, "domain": domain, "name": name, "version": version.version}


@contextmanager
def _opened(tables: dict[str, Table]) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Every file, opened here as the store opens it, so that the other process needs no path and no key."""
    files: list[int] = []
    try:
        described = {
            name: [_describe(source, table, files) for source in table.sources] for name, table in tables.items()
        }
        yield described, files
    finally:
        for file in files:
            os.close(file)


def _describe(source: Source, table: Table, files: list[int]) -> dict[str, Any]:
    version = source.version
    marks = {"_version": version.version, **{key.replace('"', ""): value for key, value in version.shown_partitions}}
    first = len(files)
    for uri in source.uris:
        files.append(_open(uri))
    return {"name": str(version), "files": files[first:], "columns": marks if table.many else {}}


def _open(uri: str) -> int:
    """A file of this machine: the object's own, or a copy without a name."""
    with store().open(uri) as stream:
        if isinstance(store(), LocalStore):
            return os.dup(stream.fileno())
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
            copy.flush()
            return os.dup(copy.fileno())


def _child(sql: str, query: Query, tables: dict[str, Any], files: list[int], result: int) -> dict[str, Any]:
    job = {
        "sql": sql,
        "tables": tables,
        "result": result,
        "format": query.format,
        "rows": query.rows,
        "seconds": query.seconds,
        "memory": settings.CAUSEWAY_SQL_MEMORY,
        "result_bytes": RESULT_BYTES,
        "threads": max(1, os.cpu_count() or 1),
    }
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=files,
        env={"HOME": tempfile.gettempdir(), "PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd=tempfile.gettempdir(),
        text=True,
    )
    try:
        said, complaint = process.communicate(json.dumps(job), timeout=query.seconds)
    except subprocess.TimeoutExpired:
        raise SearchTooLong(f"the query was stopped after {query.seconds} seconds") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return _understood(said, complaint, process.returncode)


def _understood(said: str, complaint: str, code: int) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(said)
    except ValueError:
        if "MemoryError" in complaint or "bad_alloc" in complaint or code in (-9, -6, -11):
            raise ResourceExhausted("the query needs more memory than it may have") from None
        if code == -24:  # SIGXCPU
            raise SearchTooLong("the query was stopped after its time") from None
        raise RuntimeError(f"the process of a query ended with {code}: {complaint[-2000:]}") from None
    if told.get("kind") == "limit":
        raise ResourceExhausted(told["error"])
    if "error" in told:
        raise InvalidArgument(told["error"])
    return told
