"""Secrets that the operator keeps as files, on the machine of the executor: CAUSEWAY_SECRETS_DIR.

    <group>/<key>                        for tasks of every project
    @<project>/<group>/<key>             for those of one project
    @<project>/@<domain>/<group>/<key>   for those of one domain of it

With a version: <group>/<version>/<key>. No part of a name begins with '@', so that no name leads into another
project's folder. A mounted Kubernetes secret is such a group.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from artifacts.exceptions import InvalidArgument
from scheduler.secrets.names import Name, check_name

LARGEST = 1024 * 1024  # bytes


def folder(root: Path, project: str, domain: str) -> Path:
    """Of one place; empty for all."""
    return root.joinpath(*(f"@{part}" for part in (project, domain) if part))


def find(place: Path, name: Name) -> bytes | None:
    """The value, by the name as it is written or in lower case. InvalidArgument for a file that cannot be read."""
    check_name(name)
    for parts in (name.parts, name.path.split("/")):
        path = place.joinpath(*parts)
        try:
            if stat.S_ISREG(os.stat(path).st_mode):
                return _read(path, name)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return None


def keys_of(place: Path, group: Name) -> Iterator[Name]:
    """The secrets in the folder of a group."""
    path = place.joinpath(*group.parts)
    if not path.is_dir():
        return
    for entry in sorted(path.iterdir()):
        if entry.is_file() and not entry.name.startswith("."):  # `..data` of a mounted secret
            yield check_name(Name(group.group, entry.name, group.version))


def _read(path: Path, name: Name) -> bytes:
    try:
        with open(path, "rb") as file:
            value = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidArgument(f"the file of the secret {name} cannot be read: {error.strerror}") from None
    if len(value) > LARGEST:
        raise InvalidArgument(f"the file of the secret {name} is larger than {LARGEST} bytes")
    return value
