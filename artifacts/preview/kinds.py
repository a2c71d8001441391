"""What kind of file an object is, by how it begins and what it is called. Pure."""

from __future__ import annotations

from enum import Enum

HEAD = 16  # bytes that tell


class Kind(str, Enum):
    """How an object is shown. TEXT is what HTML and SVG are, too: nothing of users is ever markup of ours."""

    PARQUET = "parquet"
    ARROW = "arrow"
    CSV = "csv"
    JSON_LINES = "json lines"
    JSON = "json"
    MARKDOWN = "markdown"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    PICKLE = "pickled object"
    ARCHIVE = "archive"  # a zip: models of Keras and torch are such
    BINARY = "binary"


PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")  # of pickle, that say so at the beginning
OBJECTS = frozenset({Kind.PICKLE, Kind.ARCHIVE})  # that have a class and parameters
TABLES = frozenset({Kind.PARQUET, Kind.ARROW, Kind.CSV, Kind.JSON_LINES})
_MAGIC = {
    b"PAR1": Kind.PARQUET,
    b"PK\x03\x04": Kind.ARCHIVE,
    b"ARROW1": Kind.ARROW,
    b"\xff\xff\xff\xff": Kind.ARROW,  # a stream
    b"\x89PNG\r\n\x1a\n": Kind.IMAGE,
    b"\xff\xd8\xff": Kind.IMAGE,
    b"GIF87a": Kind.IMAGE,
    b"GIF89a": Kind.IMAGE,
    b"ID3": Kind.AUDIO,
    b"\xff\xfb": Kind.AUDIO,
    b"\xff\xf3": Kind.AUDIO,
    b"\xff\xf2": Kind.AUDIO,
    b"OggS": Kind.AUDIO,
    b"fLaC": Kind.AUDIO,
}
_RIFF = {b"WEBP": Kind.IMAGE, b"WAVE": Kind.AUDIO}
_ENDINGS = {
    **dict.fromkeys(("csv", "tsv"), Kind.CSV),
    **dict.fromkeys(("jsonl", "ndjson"), Kind.JSON_LINES),
    **dict.fromkeys(("json", "geojson", "ipynb"), Kind.JSON),
    **dict.fromkeys(("md", "markdown"), Kind.MARKDOWN),
}


def kind_of(name: str, head: bytes) -> Kind:
    """`head`: the first bytes. What is named as text but holds NUL bytes is binary."""
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], Kind.BINARY)
    if head[:1] == b"\x80" and head[1:2] in PROTOCOLS:
        return Kind.PICKLE
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if found is not None:
        return found
    ending = name.rsplit("/", 1)[-1].rpartition(".")[2].lower()
    if b"\x00" in head or not _is_text(head):
        return Kind.BINARY
    return _ENDINGS.get(ending, Kind.TEXT)


def _is_text(head: bytes) -> bool:
    """UTF-8, but for a character that is cut at the end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
