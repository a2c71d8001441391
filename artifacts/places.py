"""Whose the objects of our store are: they lie below `<root>/<area>/<project>/<domain>/`."""

from __future__ import annotations

import posixpath
import re

from flyteidl.core import literals_pb2

from artifacts import literals
from artifacts.store import store

_LOCAL = re.compile(r"(?:file|local):(?://(?:localhost(?=/))?)?", re.IGNORECASE)
NOBODYS = ("", "")  # no project's: for those alone who may read everywhere


def place_of(uri: str) -> tuple[str, str] | None:
    """Project and domain that the object or folder belongs to; None for data that is not in our store."""
    uri, root = _spelled_plainly(uri).rstrip("/"), store().root
    if not (uri == root or uri.startswith(f"{root}/")):
        return None
    parts = store().key(uri).split("/") if store().contains(uri) else []
    return (parts[1], parts[2]) if len(parts) > 3 else NOBODYS


def _spelled_plainly(uri: str) -> str:
    """As a local store spells it: fsspec takes `file:/x`, `local:///x`, `//x` and `/x/./y` for files here, too."""
    path = _LOCAL.sub("", uri)
    return posixpath.normpath(f"/{path.lstrip('/')}") if path.startswith("/") else uri


def places_in(literal: literals_pb2.Literal) -> set[tuple[str, str]]:
    """Where in our store the files and offloaded values that the literal names lie."""
    found = (place_of(uri) for uri in literals.uris(literal))
    return {place for place in found if place is not None}
