"""The five fields of a cron line as Flyte's scheduler reads them (robfig/cron v3, `parser.go`), in croniter's words.

The two differ where lines say the same thing in other ways: croniter takes `5-5` for every value and `*/1` for no star.
So every field is written out as the values it means. What only croniter knows (`L`, `5#2`, `15W`, 7 for Sunday, ranges
over the end such as `22-2`) stays as it was written: a superset of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_NUMBER = re.compile(r"\+?[0-9]+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
STAR = "*"


@dataclass(frozen=True)
class _Bounds:
    first: int
    last: int
    names: Mapping[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """ValueError for anything but a number or a name of this field."""
        if text.lower() in self.names:
            return self.names[text.lower()]
        if not _NUMBER.fullmatch(text):
            raise ValueError(text)
        return int(text)


_BOUNDS = (
    _Bounds(0, 59),
    _Bounds(0, 23),
    _Bounds(1, 31),
    _Bounds(1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)}),
    _Bounds(0, 6, {name: number for number, name in enumerate(_WEEKDAYS)}),
)
_DAY, _WEEKDAY = 2, 4


def in_croniter(fields: str) -> str:
    """Five fields. What is wrong in them stays, for croniter to refuse.

    Beside a star in one of the day fields the other one decides alone; else a day that either of them names is enough,
    which is every day where one of them names all days without being a star (`1-31`).
    """
    texts = fields.split()
    written = [_written(text, bounds) for text, bounds in zip(texts, _BOUNDS, strict=True)]
    days = [written[place] for place in (_DAY, _WEEKDAY)]
    whole = [_is_whole(text, _BOUNDS[place]) for text, place in zip(days, (_DAY, _WEEKDAY), strict=True)]
    if any(whole):
        written[_DAY] = written[_WEEKDAY] = STAR
    return " ".join(written)


def _is_whole(text: str, bounds: _Bounds) -> bool:
    return text == _listed(range(bounds.first, bounds.last + 1))


def _listed(values: Iterable[int]) -> str:
    return ",".join(map(str, values))


def _written(text: str, bounds: _Bounds) -> str:
    """A star, or the values in order, and after them what only croniter may know."""
    values: set[int] = set()
    others: list[str] = []
    for part in filter(None, text.split(",")):
        try:
            found = _values(part, bounds)
        except ValueError:
            others.append(part)
            continue
        if found is None:
            return STAR
        values.update(found)
    return ",".join(filter(None, [_listed(sorted(values)), *others])) or text


def _values(part: str, bounds: _Bounds) -> range | None:
    """What one part of a list means, None for a star: `*`, `?`, and either with a step of one. ValueError: nothing."""
    span, slash, step_text = part.partition("/")
    step = int(step_text) if _NUMBER.fullmatch(step_text) else 0
    if slash and step < 1:
        raise ValueError(part)
    low, dash, high = span.partition("-")
    if low in ("*", "?"):
        return range(bounds.first, bounds.last + 1, step) if step > 1 else None
    start = bounds.number(low)
    end = bounds.number(high) if dash else bounds.last if slash else start
    if not bounds.first <= start <= end <= bounds.last:
        raise ValueError(part)
    return range(start, end + 1, step or 1)
