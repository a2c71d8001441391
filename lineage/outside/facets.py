"""Facets with the time of the event they came with: of two the later counts, in whatever order they come.

Merging is commutative, associative and idempotent, so that events may come late, twice, and from several senders.
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from artifacts.exceptions import InvalidArgument

MAX_FACETS = 100  # of one thing: with more, those told last stay
MAX_FACET = 256 * 1024  # letters of one, as JSON
SMALL = 4096  # bytes of one that is kept in memory
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it; not the six letters
# One for all: `json.dumps` makes an encoder each time, which costs more than what it writes.
_written = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Facet(NamedTuple):
    """`at` in microseconds since 1970; `text`: the value as JSON, by which two of the same time are told apart."""

    at: int
    text: str

    @property
    def value(self) -> Any:
        return json.loads(self.text)


Facets = dict[str, Facet]


def stamped(facets: Mapping[str, Any], at: datetime, *, where: str) -> Facets:
    """InvalidArgument for what PostgreSQL keeps in no JSON: NUL characters, numbers out of range."""
    if len(facets) > MAX_FACETS:
        raise InvalidArgument(f"{where} holds {len(facets)} facets, at most {MAX_FACETS} are kept")
    moment = (at - _EPOCH) // timedelta(microseconds=1)
    return {_checked_name(name, where): Facet(moment, _text(name, value, where)) for name, value in facets.items()}


def _checked_name(name: str, where: str) -> str:
    if len(name) > 200 or "\0" in name:
        raise InvalidArgument(f"{where}: the name of a facet has at most 200 characters, and no NUL")
    return name


def _text(name: str, value: Any, where: str) -> str:
    """Producers say the same with every event (a schema): that is written once, and known again by what `marshal` makes
    of it, which takes a tenth of the time."""
    told = marshal.dumps(value, 2)
    text, wrong = _written_again(told) if len(told) <= SMALL else _checked(value)
    if wrong:
        raise InvalidArgument(f"{where}.{name} {wrong}")
    return text


@lru_cache(maxsize=2000)
def _written_again(told: bytes) -> tuple[str, str]:
    return _checked(marshal.loads(told))  # noqa: S302 - our own, of this process


def _checked(value: Any) -> tuple[str, str]:
    """As JSON; and what is wrong with it, if anything."""
    try:
        text = _written(value)
    except ValueError:
        return "", "holds a number out of range"
    if len(text) > MAX_FACET:
        return "", f"has {len(text)} characters, a facet may have {MAX_FACET}"
    if "\\u0000" in text and _NUL.search(text):
        return "", "holds a NUL character"
    return text, ""


def merge(one: Facets, other: Facets) -> Facets:
    """Of each facet the later; of as late ones the greater as text."""
    if not one or one == other:
        return other
    merged = dict(one)
    for name, facet in other.items():
        before = merged.get(name)
        if before is None or facet > before:
            merged[name] = facet
    if len(merged) > MAX_FACETS:
        kept = sorted(merged.items(), key=lambda item: (item[1].at, item[0]), reverse=True)[:MAX_FACETS]
        return dict(kept)
    return merged


def stored(facets: Facets) -> str:
    """As the database keeps them: {"schema": [1700000000000000, {...}]}."""
    inner = ",".join(f"{json.dumps(name)}:[{facet.at},{facet.text}]" for name, facet in sorted(facets.items()))
    return f"{{{inner}}}"


def loaded(text: str) -> Facets:
    """The opposite of `stored`."""
    return {name: Facet(at, _written(value)) for name, (at, value) in json.loads(text).items()}


def shown(kept: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The values by name, without those that their producer took back (`_deleted`)."""
    values = {name: value for name, (_, value) in kept.items()}
    return {
        name: value for name, value in values.items() if not (isinstance(value, dict) and value.get("_deleted") is True)
    }
