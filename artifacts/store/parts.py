"""Uploads in parts to the local store: each part is a file beside the object, until they are put together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from artifacts.store.base import CHUNK

# Begins as every file that is being written does, so listings leave it out; then the object's name, hashed.
PREFIX = ".partial-part-"
_PART = re.compile(rf"{re.escape(PREFIX)}[0-9a-f]{{32}}-(\d+)")


def upload_id(key: str) -> str:
    """One object has one upload at a time: two clients that send the same file help each other."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def part_path(target: Path, upload: str, number: int) -> Path:
    return target.with_name(f"{PREFIX}{upload}-{number}")


def present(target: Path, upload: str) -> dict[int, Path]:
    """The parts that arrived whole, by number."""
    if not target.parent.is_dir():
        return {}
    found = target.parent.glob(f"{PREFIX}{upload}-*")
    return {int(match[1]): path for path in found if (match := _PART.fullmatch(path.name))}


def copy(paths: list[Path], file: BinaryIO) -> str:
    """Writes the parts one after the other; the SHA-256 of it all in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as part:
            while chunk := part.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
    return digest.hexdigest()


def leftovers(directory: Path, before: float) -> Iterator[Path]:
    """Parts below the directory that were last written before that moment, in seconds since 1970."""
    for path in directory.rglob(f"{PREFIX}*"):
        try:
            if path.stat().st_mtime < before:
                yield path
        except FileNotFoundError:
            continue  # its upload was finished this moment
