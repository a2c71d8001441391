"""Profiles of versions: made once each, in a process of its own, and kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from django.utils import timezone

from artifacts.models import ArtifactVersion, VersionProfile
from artifacts.store import LocalStore, store

CHILD = Path(__file__).resolve().parent / "child.py"
MOST_FILES = 1000
MOST_BYTES = 10 << 30
SECONDS, MEMORY = 120, 1 << 30  # of one profile


class Unreadable(Exception):
    """The data of a version cannot be profiled; the message says why."""


def profile_of(version: ArtifactVersion) -> VersionProfile:
    """As it is kept, or made now: seconds of work, outside any transaction. Unreadable where there can be none."""
    kept = VersionProfile.objects.filter(version=version).first()
    if kept is not None:
        return kept
    begun = time.monotonic()
    told = _made(version)
    values = {"rows": told["rows"], "columns": told["columns"], "seconds": time.monotonic() - begun}
    row, _ = VersionProfile.objects.get_or_create(version=version, defaults={**values, "at": timezone.now()})
    return row


def _made(version: ArtifactVersion) -> dict[str, Any]:
    with _opened(_uris(version)) as files:
        told = _child(files)
    if "problem" in told:
        raise Unreadable(told["problem"])
    return told


def _uris(version: ArtifactVersion) -> list[str]:
    uri = version.uri.rstrip("/")
    if version.removed_at is not None:
        raise Unreadable("its data was removed")
    if not uri or not store().contains(uri):
        raise Unreadable("its data lies elsewhere" if uri else "it is a plain value, not a dataset")
    if store().exists(uri):
        uris, size = [uri], store().size(uri)
    else:  # what begins with a dot or underscore is a mark of whoever wrote the rest, not data
        data = (one for one in store().list(uri) if not one.uri.rpartition("/")[2].startswith((".", "_")))
        found = list(islice(data, MOST_FILES + 1))
        uris, size = sorted(one.uri for one in found), sum(one.size for one in found)
    if not uris or len(uris) > MOST_FILES or size > MOST_BYTES:
        raise Unreadable(f"it has {len(uris)} files of {size} bytes; at most {MOST_FILES} of {MOST_BYTES} are profiled")
    return uris


@contextmanager
def _opened(uris: list[str]) -> Iterator[list[int]]:
    """Every file, opened here as the store opens it, so that the other process needs no path and no key."""
    files: list[int] = []
    try:
        for uri in uris:
            files.append(_open(uri))
        yield files
    finally:
        for file in files:
            os.close(file)


def _open(uri: str) -> int:
    with store().open(uri) as stream:
        if isinstance(store(), LocalStore):
            return os.dup(stream.fileno())
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
            copy.flush()
            return os.dup(copy.fileno())


def _child(files: list[int]) -> dict[str, Any]:
    job = {"files": files, "memory": MEMORY, "seconds": SECONDS, "threads": max(1, os.cpu_count() or 1)}
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", str(CHILD)],
            input=json.dumps(job),
            capture_output=True,
            timeout=SECONDS,
            pass_fds=files,
            env={"HOME": tempfile.gettempdir(), "PATH": os.defpath, "LANG": "C.UTF-8"},
            cwd=tempfile.gettempdir(),
            text=True,
        )
        told: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"profiling it took longer than {SECONDS} seconds") from None
    except ValueError:
        raise Unreadable("profiling it took more memory or time than it may") from None
    return told
