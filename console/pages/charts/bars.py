"""Amounts side by side: a bar for each, in one piece or in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.pages.charts.scales import scale_of, spell_mark

GAP = 0.2  # of a bar's room
THIN = 1.5  # per cent of the height: less could not be seen
NAMED = 8  # so many bars have their names below them, of more the first and the last


@dataclass(frozen=True)
class Part:
    value: float
    tone: str = "info"
    name: str = ""


@dataclass(frozen=True)
class Bar:
    """`words` tells of it where somebody points at it, and in the table; without, its name and value do."""

    name: str
    parts: Sequence[Part]
    words: str = ""
    url: str = ""

    @classmethod
    def of(cls, name: str, value: float, *, tone: str = "info", words: str = "", url: str = "") -> Bar:
        return cls(name, [Part(value, tone)], words, url)

    @property
    def value(self) -> float:
        return sum(part.value for part in self.parts)


@dataclass(frozen=True)
class PlacedPart:
    tone: str
    y: float
    height: float


@dataclass(frozen=True)
class PlacedBar:
    bar: Bar
    x: float
    width: float
    parts: Sequence[PlacedPart]
    words: str


@dataclass(frozen=True)
class BarChart:
    """`words`: all of it in a sentence, for who cannot see a strip."""

    title: str
    bars: Sequence[PlacedBar]
    grid: Sequence[tuple[float, str]]
    below: Sequence[str]
    legend: Sequence[tuple[str, str]]  # tone, name
    words: str
    head: tuple[str, str]
    spell: Callable[[float], str]
    template = "partials/charts/bars.html"


def bars(
    title: str,
    given: Sequence[Bar],
    *,
    spell: Callable[[float], str] = spell_mark,
    head: tuple[str, str] = ("", "Value"),
    words: str = "",
    at_least: int = 0,
    least: float = 0.0,
    ends: tuple[str, str] | None = None,
) -> BarChart | None:
    """None where there is nothing to draw. The bars stand in the order given, on a line at zero.

    `at_least`: room for so many, so that few are not as broad as many: they stand at the right end. `words` for strips.
    `least`: per cent of the height that every part has at least, even one of nothing, because it stands for something
    that happened; 0: nothing is not drawn. `ends`: what stands below the first and the last bar instead of names.
    """
    if not given:
        return None
    scale = scale_of([*(bar.value for bar in given), *_positive(given)], with_zero=True)
    room = 100 / max(len(given), at_least)
    first = 100 - room * len(given)
    placed = []
    for place, bar in enumerate(given):
        told = bar.words or f"{bar.name}: {spell(bar.value)}"
        x = round(first + room * (place + GAP / 2), 3)
        placed.append(PlacedBar(bar, x, round(room * (1 - GAP), 3), _stacked(bar, scale.at, least), told))
    names = list(ends) if ends else [bar.name for bar in given]
    return BarChart(
        title=title,
        bars=placed,
        grid=[(100 - scale.at(mark), spell(mark)) for mark in reversed(scale.marks)],
        below=names if len(names) <= NAMED else [names[0], names[-1]],
        legend=list(dict.fromkeys((part.tone, part.name) for bar in given for part in bar.parts if part.name)),
        words=words or f"{title}: {len(given)} bars",
        head=head,
        spell=spell,
    )


def _positive(given: Sequence[Bar]) -> list[float]:
    return [sum(part.value for part in bar.parts if part.value > 0) for bar in given]


def _stacked(bar: Bar, at: Callable[[float], float], least: float) -> list[PlacedPart]:
    """From zero upwards what is positive, downwards what is not."""
    found, up, down = [], 0.0, 0.0
    for part in bar.parts:
        if not part.value and not least:
            continue
        start = up if part.value >= 0 else down
        end = start + part.value
        up, down = (end, down) if part.value >= 0 else (up, end)
        top, bottom = 100 - at(max(start, end)), 100 - at(min(start, end))
        height = max(bottom - top, least or THIN)
        found.append(PlacedPart(part.tone, round(bottom - height if part.value >= 0 else top, 2), round(height, 2)))
    return found
