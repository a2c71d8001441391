"""Whose the objects of our store are: they lie below `<root>/<area>/<project>/<domain>/`."""

from __future__ import annotations

from flyteidl.core import literals_pb2

from artifacts import literals
from artifacts.store import store

NOBODYS = ("", "")  # no project's: for those alone who may read everywhere


def place_of(uri: str) -> tuple[str, str] | None:
    """Project and domain that the object or folder belongs to; None for data that is not in our store."""
    uri = uri.removeprefix("file://").rstrip("/")
    root = store().root
    if not (uri == root or uri.startswith(f"{root}/")):
        return None
    parts = store().key(uri).split("/") if store().contains(uri) else []
    return (parts[1], parts[2]) if len(parts) > 3 else NOBODYS


def places_in(literal: literals_pb2.Literal) -> set[tuple[str, str]]:
    """Where in our store the files and offloaded values that the literal names lie."""
    found = (place_of(uri) for uri in literals.uris(literal))
    return {place for place in found if place is not None}
