"""Finds the calls of `artifact(...)` and `artifacts(...)` in a query, and puts names of tables in their places.

Everything else is DuckDB's to read; only what leads to files by itself is refused, as DuckDB would find the files that
the query was given under their own paths too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from artifacts.exceptions import InvalidArgument

MAX_QUERY = 100_000  # letters
MAX_REFERENCES = 20
PREFIX = "__artifact_"
FUNCTIONS = ("artifact", "artifacts")
_TOKEN = re.compile(
    r"""
    (?P<space> (?: \s | --[^\n]* | /\*.*?\*/ )+ )
  | (?P<text> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$ )
  | (?P<open> /\* | \$(?:[^\W\d]\w*)?\$ )
  | (?P<quoted> "(?:[^"]|"")*" )
  | (?P<word> [^\W\d]\w* )
  | (?P<number> \d+(?:\.\d+)? )
  | (?P<sign> := | => | . )
    """,
    re.VERBOSE | re.DOTALL,
)
# Functions of DuckDB that take a path or another query
_CLOSED = re.compile(
    r"(read|parquet|sniff|scan|duckdb|json_execute)_\w*|\w*_scan\w*|glob|query|query_table|which_secret"
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str

    @property
    def value(self) -> str:
        """Of a text or a quoted name, without its quotes."""
        if self.kind == "text" and self.text.startswith("'"):
            return self.text[1:-1].replace("''", "'")
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text


@dataclass(frozen=True)
class Reference:
    """One call: the artifact's name and what was said of it, by keyword. `many`: all versions that fit."""

    name: str
    said: tuple[tuple[str, str], ...]
    many: bool

    @property
    def keywords(self) -> Mapping[str, str]:
        return dict(self.said)


@dataclass(frozen=True)
class Parsed:
    sql: str
    references: Mapping[str, Reference]  # by the name of the table that stands for it


def parse(query: str) -> Parsed:
    """Raises InvalidArgument with what is wrong and what is allowed."""
    if len(query) > MAX_QUERY or "\x00" in query:
        raise InvalidArgument(f"a query has at most {MAX_QUERY} letters, and no NUL among them")
    tokens = list(_tokens(query))
    out: list[str] = []
    references: dict[Reference, str] = {}
    place = 0
    while place < len(tokens):
        token = tokens[place]
        opening = _next(tokens, place)
        called = opening is not None and tokens[opening].text == "(" and token.kind in ("word", "quoted")
        if called and token.kind == "word" and token.text.lower() in FUNCTIONS and _before(tokens, place) != ".":
            reference, place = _reference(tokens, place, int(opening or 0))
            out.append(references.setdefault(reference, f"{PREFIX}{len(references) + 1}"))
            continue
        _check(tokens, place, called=called)
        out.append(token.text)
        place += 1
    if len(references) > MAX_REFERENCES:
        raise InvalidArgument(f"a query names at most {MAX_REFERENCES} different artifacts")
    return Parsed("".join(out), {table: reference for reference, table in references.items()})


def _tokens(query: str) -> Iterator[Token]:
    """Spaces and comments that follow one another are one. Ends at what is not closed: to look for its end from each
    of many such beginnings would take the square of the query's length.
    """
    for found in _TOKEN.finditer(query):
        if found.lastgroup == "open":
            raise InvalidArgument(f"{found.group()[:40]} is opened at letter {found.start() + 1}, and never closed")
        yield Token(str(found.lastgroup), found.group())


def _next(tokens: list[Token], place: int) -> int | None:
    return next((n for n in range(place + 1, len(tokens)) if tokens[n].kind != "space"), None)


def _before(tokens: list[Token], place: int) -> str:
    return next((tokens[n].text for n in range(place - 1, -1, -1) if tokens[n].kind != "space"), "")


def _check(tokens: list[Token], place: int, *, called: bool) -> None:
    token = tokens[place]
    if called and _CLOSED.fullmatch(token.value.lower()):
        raise InvalidArgument(f"{token.value}() is not for queries here: name data as artifact('name', key := 'value')")
    is_table = _before(tokens, place).lower() in ("from", "join") and token.kind in ("text", "quoted")
    if is_table and (token.kind == "text" or "/" in token.value):
        raise InvalidArgument(f"{token.text[:100]} is a file: name data as artifact('name', key := 'value')")
    if token.kind in ("text", "quoted") and "/proc/" in token.text.lower():
        raise InvalidArgument("a query may not name /proc/")


def _reference(tokens: list[Token], place: int, opening: int) -> tuple[Reference, int]:
    """The call that begins there, and the place after it."""
    call = tokens[place].text
    inside: list[Token] = []
    end = opening + 1
    while end < len(tokens) and tokens[end].text != ")":
        if tokens[end].kind != "space":
            inside.append(tokens[end])
        end += 1
    if end == len(tokens):
        raise InvalidArgument(f"{call}( is not closed")
    parts = _split(inside)
    if not parts or len(parts[0]) != 1 or parts[0][0].kind != "text":
        raise InvalidArgument(f"{call}(...) begins with the artifact's name in quotes: {call}('ml-dataset')")
    said = tuple(sorted(_keyword(call, part) for part in parts[1:]))
    if len({key for key, _ in said}) < len(said):
        raise InvalidArgument(f"{call}('{parts[0][0].value}', ...) says something twice")
    return Reference(parts[0][0].value, said, call.lower() == "artifacts"), end + 1


def _split(tokens: list[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts if tokens else []


def _keyword(call: str, part: list[Token]) -> tuple[str, str]:
    shape = [token.kind for token in part]
    fits = shape[:1] in (["word"], ["quoted"]) and shape[2:] in (["text"], ["number"])
    if not fits or part[1].text not in (":=", "=>", "="):
        said = "".join(token.text for token in part)[:100]
        raise InvalidArgument(f"{call}(...) takes key := 'value' after the name, not {said or 'nothing'}")
    return part[0].value, part[2].value
