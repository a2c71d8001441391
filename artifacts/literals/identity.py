"""What a literal is apart from its type: its digest, where its bytes lie, and which artifact version it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from flyteidl.core import literals_pb2

CARRIED_KEY = "_ua"
MOUNTED, YES = "mounted", "yes"  # an attribute of a version, which its literal shows to whatever takes it in


def digest(literal: literals_pb2.Literal) -> str:
    """SHA-256 in hexadecimal. A literal with a hash of its own (HashMethod) counts by that, not by its value."""
    canonical = _canonical(literal)
    return hashlib.sha256(canonical.SerializeToString(deterministic=True)).hexdigest()


def _canonical(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    if literal.hash:
        return literals_pb2.Literal(hash=literal.hash)
    which = literal.WhichOneof("value")
    if which == "collection":
        items = [_canonical(item) for item in literal.collection.literals]
        return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    if which == "map":
        entries = {key: _canonical(item) for key, item in literal.map.literals.items()}
        return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=entries))
    if which == "scalar" and literal.scalar.HasField("union"):
        union = literals_pb2.Union(value=_canonical(literal.scalar.union.value), type=literal.scalar.union.type)
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))
    bare = literals_pb2.Literal()
    bare.CopyFrom(literal)
    bare.metadata.clear()  # where it came from does not change what it is
    return bare


def primary_uri(literal: literals_pb2.Literal) -> str:
    """Where the data of a file, directory, dataset or offloaded value lies; empty for an inline value."""
    which = literal.WhichOneof("value")
    if which == "offloaded_metadata":
        return literal.offloaded_metadata.uri
    if which != "scalar":
        return ""
    scalar = literal.scalar
    kind = scalar.WhichOneof("value")
    if kind == "union":
        return primary_uri(scalar.union.value)
    if kind == "blob":
        return scalar.blob.uri
    if kind == "structured_dataset":
        return scalar.structured_dataset.uri
    if kind == "schema":
        return scalar.schema.uri
    return ""


def uris(literal: literals_pb2.Literal) -> Iterator[str]:
    """Where everything in the literal lies that is not inline: a list of files has one each."""
    which = literal.WhichOneof("value")
    if which == "collection":
        for item in literal.collection.literals:
            yield from uris(item)
    elif which == "map":
        for key in sorted(literal.map.literals):
            yield from uris(literal.map.literals[key])
    elif which == "scalar" and literal.scalar.WhichOneof("value") == "union":
        yield from uris(literal.scalar.union.value)
    elif uri := primary_uri(literal):
        yield uri


def carry(literal: literals_pb2.Literal, version_id: int) -> literals_pb2.Literal:
    """A copy that says which artifact version it is; the mark travels with the literal through promises."""
    marked = literals_pb2.Literal()
    marked.CopyFrom(literal)
    marked.metadata[CARRIED_KEY] = str(version_id)
    return marked


def show_mounted(literal: literals_pb2.Literal, attributes: Mapping[str, str]) -> None:
    """Have the literal say that its data is to be shared by all tasks of a machine, where the version says so alone."""
    if attributes.get(MOUNTED) == YES:
        literal.metadata[MOUNTED] = YES
    elif literal.metadata.get(MOUNTED) == YES:
        del literal.metadata[MOUNTED]


def carried(literal: literals_pb2.Literal) -> int | None:
    """The id of the artifact version a literal came from, if it says one."""
    text = literal.metadata.get(CARRIED_KEY, "")
    if not text and literal.scalar.HasField("union"):
        return carried(literal.scalar.union.value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def parts(literal: literals_pb2.Literal) -> Iterator[literals_pb2.Literal]:
    """The literal itself and everything inside it: what its lists, maps and unions hold."""
    yield literal
    which = literal.WhichOneof("value")
    if which == "collection":
        for item in literal.collection.literals:
            yield from parts(item)
    elif which == "map":
        for item in literal.map.literals.values():
            yield from parts(item)
    elif which == "scalar" and literal.scalar.HasField("union"):
        yield from parts(literal.scalar.union.value)


def unmarked(literal: literals_pb2.Literal) -> Iterator[literals_pb2.Literal]:
    """The innermost values in the literal, less those that are, or are part of, a version."""
    which = literal.WhichOneof("value")
    if CARRIED_KEY in literal.metadata:
        return
    if which == "collection":
        for item in literal.collection.literals:
            yield from unmarked(item)
    elif which == "map":
        for item in literal.map.literals.values():
            yield from unmarked(item)
    elif which == "scalar" and literal.scalar.HasField("union"):
        yield from unmarked(literal.scalar.union.value)
    else:
        yield literal


def without_marks(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    """For literals that users wrote, who can claim anything: itself if it says nothing of where it came from, else a
    copy without.
    """
    if not any(CARRIED_KEY in part.metadata for part in parts(literal)):
        return literal
    bare = literals_pb2.Literal()
    bare.CopyFrom(literal)
    for part in parts(bare):
        part.metadata.pop(CARRIED_KEY, None)
    return bare


def marks(literal: literals_pb2.Literal) -> tuple[set[int], bool]:
    """The versions that a literal, or anything in its lists and maps, is; and whether they account for all of it."""
    own = carried(literal)
    if own is not None:
        return {own}, True
    which = literal.WhichOneof("value")
    if which == "collection":
        items = list(literal.collection.literals)
    elif which == "map":
        items = list(literal.map.literals.values())
    else:
        return set(), False
    found: set[int] = set()
    complete = bool(items)
    for item in items:
        ids, whole = marks(item)
        found |= ids
        complete = complete and whole
    return found, complete
