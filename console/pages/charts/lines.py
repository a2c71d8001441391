"""Values over time, a line for each series, with marks at what has a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.pages.charts.scales import COLOURS, TimeScale, scale_of, spell_mark

DOTS = 40  # that can be pointed at: each weighs as much as ten points of a line


@dataclass(frozen=True)
class Dot:
    """`mark` is written above it, `words` tells of it where somebody points at it."""

    at: datetime
    value: float
    words: str = ""
    url: str = ""
    mark: str = ""
    is_ringed: bool = False  # stands out


@dataclass(frozen=True)
class Series:
    name: str
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Bound:
    """A value that means something: a line across the picture, with its words in the legend."""

    value: float
    words: str


@dataclass(frozen=True)
class PlacedDot:
    dot: Dot
    x: float
    y: float


@dataclass(frozen=True)
class DrawnSeries:
    name: str
    colour: int
    points: str  # of a polyline in a box of 100 by 100
    dots: Sequence[PlacedDot]


@dataclass(frozen=True)
class LineChart:
    """`left_out`: names of series that are in the table only. `bound`: place from the top, words."""

    title: str
    series: Sequence[DrawnSeries]
    grid: Sequence[tuple[float, str]]  # place from the top, label; from the top down
    below: Sequence[str]
    rows: Sequence[tuple[str, str, Dot]]  # of the table: series, when, dot
    head: tuple[str, str, str]
    spell: Callable[[float], str]
    left_out: Sequence[str] = ()
    bound: tuple[float, str] | None = None
    has_dots: bool = True
    untold: int = 0  # older dots that are part of the lines only
    template = "partials/charts/lines.html"


def lines(
    title: str,
    series: Sequence[Series],
    *,
    spell: Callable[[float], str] = spell_mark,
    head: tuple[str, str, str] = ("Series", "When", "Value"),
    since: datetime | None = None,
    bound: Bound | None = None,
    with_zero: bool = False,
    with_dots: bool = True,
) -> LineChart | None:
    """None where there is nothing to draw. `spell` writes values, `head` stands over the table's columns.

    The first COLOURS series are drawn, the others are in the table. `since`: moments are told as the time that had
    passed since then, the first first; without, as dates, the newest first. `with_zero`: the axis begins at nothing.
    Without dots a line is a curve of many values; else the newest DOTS can be pointed at and stand in the table, and
    those that stand out. Where the first of `head` is empty, the table names no series.
    """
    dots = [dot for one in series for dot in one.dots]
    if not dots:
        return None
    shown = [one for one in series if one.dots][:COLOURS]
    drawn = [dot for one in shown for dot in one.dots]
    scale = scale_of([*(dot.value for dot in drawn), *([bound.value] if bound else [])], with_zero=with_zero)
    time = TimeScale(min(dot.at for dot in drawn), max(dot.at for dot in drawn), since)
    told = _told(dots) if with_dots and since is None else {id(dot) for dot in dots}
    rows = [(one.name, time.spell(dot.at), dot) for one in series for dot in one.dots if id(dot) in told]

    def placed(colour: int, one: Series) -> DrawnSeries:
        places = [
            PlacedDot(dot, time.at(dot.at), round(100 - scale.at(dot.value), 2))
            for dot in sorted(one.dots, key=lambda dot: dot.at)
        ]
        line = " ".join(f"{round(dot.x, 1):g},{round(dot.y, 1):g}" for dot in places)
        return DrawnSeries(one.name, colour, line, [place for place in places if id(place.dot) in told])

    return LineChart(
        title=title,
        series=[placed(colour, one) for colour, one in enumerate(shown, start=1)],
        grid=[(100 - scale.at(mark), spell(mark)) for mark in reversed(scale.marks)],
        below=time.labels,
        rows=sorted(rows, key=lambda row: row[2].at, reverse=since is None),
        head=head,
        spell=spell,
        left_out=[one.name for one in series if one.dots][COLOURS:],
        bound=(round(100 - scale.at(bound.value), 2), bound.words) if bound else None,
        has_dots=with_dots,
        untold=len(dots) - len(rows),
    )


def _told(dots: Sequence[Dot]) -> set[int]:
    newest = sorted(dots, key=lambda dot: dot.at, reverse=True)
    return {id(dot) for place, dot in enumerate(newest) if place < DOTS or dot.mark or dot.is_ringed}
