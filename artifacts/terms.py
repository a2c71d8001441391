"""The words under which a version is found: made here when it is published, and here again from what somebody types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import Func, Value

from artifacts.models import ArtifactVersion
from artifacts.producers import name_of

MAX_WORDS = 5000  # of one version: a card of any length stays far below the limit of a tsvector
MAX_WORD = 64

_WORD = re.compile(r"[^\W_]+(?:[._-][^\W_]+)*")
_PIECE = re.compile(r"[^\W_]+")


def _words(text: str) -> Iterable[str]:
    """Lower-cased words, and the pieces of compound ones: `auto_backtest.run` gives itself, auto, backtest, run."""
    return _words_again(text) if len(text) <= 200 else _each_word(text)  # producers and attributes come again and again


@lru_cache(maxsize=10_000)
def _words_again(text: str) -> tuple[str, ...]:
    return tuple(_each_word(text))


def _each_word(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text.lower()):
        whole = match.group()
        yield whole
        pieces = _PIECE.findall(whole)
        if len(pieces) > 1:
            yield from pieces


def producers_of(producer: str) -> list[str]:
    """Names by which `by:` finds a producer: `task:app.train.fit@v1` is app.train.fit, train.fit and fit."""
    name = name_of(producer).lower()
    parts = name.split(".")
    return [f"by:{'.'.join(parts[n:])}" for n in range(len(parts))] if name else []


def words_of(version: ArtifactVersion) -> set[str]:
    texts: Iterable[str] = (
        version.producer,
        version.version,
        *version.partitions.values(),
        *(f"{key} {value}" for key, value in version.metadata.items()),
        version.card,
    )
    found: set[str] = set(producers_of(version.producer))
    for text in texts:
        for word in _words(text):
            if len(found) >= MAX_WORDS:
                return found
            if len(word) <= MAX_WORD:
                found.add(word)
    return {term for term in found if len(term.encode()) < 1024}


def terms_of(version: ArtifactVersion) -> str:
    """What to store in `terms`, as PostgreSQL reads a tsvector. No text search configuration: words are kept as they
    are, in any language."""
    return tsvector(words_of(version))


def tsvector(words: Iterable[str]) -> str:
    """Lexemes as PostgreSQL reads them."""
    return " ".join("'" + word.replace("\\", "\\\\").replace("'", "''") + "'" for word in sorted(words))


class _Query(SearchQuery):
    """A tsquery as written: without a text search configuration, as `terms` is."""

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        return Func.as_sql(self, *args, **{**kwargs, "template": "%(expressions)s::tsquery"})


def word_query(word: str) -> SearchQuery | None:
    """Versions with these words, of which the last may be the beginning of one; None when the text holds no word."""
    pieces = list(dict.fromkeys(_PIECE.findall(word.lower())))[:10]
    if not pieces:
        return None
    *whole, last = [f"'{piece[:MAX_WORD]}'" for piece in pieces]
    return _Query(Value(" & ".join([*whole, f"{last}:*"])))


def exact_query(text: str) -> SearchQuery | None:
    """Versions with the longest word of the text, which few others have; None when it holds no word of any use."""
    pieces = [piece for piece in _PIECE.findall(text.lower()) if len(piece) <= MAX_WORD]
    return _Query(Value(f"'{max(pieces, key=len)}'")) if pieces else None


def producer_query(name: str) -> SearchQuery:
    quoted = name.lower().replace("\\", "\\\\").replace("'", "''")
    return _Query(Value(f"'by:{quoted}'"))
