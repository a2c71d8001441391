"""The few kinds of drawings that pages have: bars and lines, each with its words. Templates: `partials/chart_*.html`.

What a drawing says stands in a table behind it, for who cannot see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.pages.badges import Badge

WIDTH, HEIGHT = 1000.0, 100.0  # units of every drawing; the page stretches them
LEAST = 3.0  # units of what would be lower


@dataclass(frozen=True)
class Bar:
    """`words` says what it is, `value` how much of it; `url`: where it leads, empty: nowhere."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    words: str
    value: str
    url: str = ""


@dataclass(frozen=True)
class Datum:
    """Of a chart of bars: how high, in any unit."""

    height: float
    tone: str
    words: str
    value: str
    url: str = ""


@dataclass(frozen=True)
class BarChart:
    """`label`: all of it in one sentence. `start`, `end`: what stands below its two ends."""

    bars: list[Bar]
    label: str
    columns: tuple[str, str]
    start: str = ""
    end: str = ""


def bar_chart(
    data: Sequence[Datum], *, label: str, columns: tuple[str, str], places: int = 0, start: str = "", end: str = ""
) -> BarChart:
    """One bar a datum, side by side. `places`: for how many there is room, the last ones are used; none: all."""
    room = max(places, len(data), 1)
    step = WIDTH / room
    most = max((one.height for one in data), default=0.0)
    bars = []
    for place, one in enumerate(data, start=room - len(data)):
        height = max(HEIGHT * one.height / most, LEAST) if most else LEAST
        height = round(height if one.height or one.tone != "none" else 0.0, 1)
        x, width = round(place * step, 1), round(step * 0.8, 1)
        bars.append(Bar(x, round(HEIGHT - height, 1), width, height, one.tone, one.words, one.value, one.url))
    return BarChart(bars, label, columns, start, end)


@dataclass(frozen=True)
class Stack:
    """One column of a chart whose columns have parts: `parts` by badge, from the bottom up."""

    words: str
    parts: Sequence[tuple[Badge, int]]
    url: str = ""


def stacked_chart(
    stacks: Sequence[Stack], *, label: str, columns: tuple[str, str], start: str = "", end: str = ""
) -> BarChart:
    step = WIDTH / max(len(stacks), 1)
    most = max((sum(count for _, count in one.parts) for one in stacks), default=0)
    bars = []
    for place, one in enumerate(stacks):
        bottom = HEIGHT
        for badge, count in one.parts:
            if count:
                height = round(max(HEIGHT * count / most, 1.0), 1)
                bottom -= height
                x, width = round(place * step, 1), round(step * 0.8, 1)
                value = f"{count} {badge.label.lower()}"
                bars.append(Bar(x, round(max(bottom, 0.0), 1), width, height, badge.tone, one.words, value, one.url))
    return BarChart(bars, label, columns, start, end)


@dataclass(frozen=True)
class Line:
    name: str
    tone: str
    points: Sequence[tuple[float, float]]  # where, from 0 to 1, and how much


@dataclass(frozen=True)
class Path:
    name: str
    tone: str
    points: str  # as SVG writes them


@dataclass(frozen=True)
class LineChart:
    """`limit`: the height of a line that means a bound, with its words; `rows`: the table behind it."""

    paths: list[Path]
    label: str
    top: str
    start: str
    end: str
    limit: float | None = None
    limit_words: str = ""
    header: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    top: float,
    top_words: str,
    start: str,
    end: str,
    limit: float | None = None,
    limit_words: str = "",
    header: tuple[str, ...] = (),
    rows: Sequence[tuple[str, ...]] = (),
) -> LineChart:
    """`top`: the value at the upper edge; more than that is cut off there."""
    paths = []
    for line in lines:
        pairs = [(x * WIDTH, HEIGHT - HEIGHT * min(value / top, 1.0) if top else HEIGHT) for x, value in line.points]
        paths.append(Path(line.name, line.tone, " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)))
    at = None if limit is None or not top else round(HEIGHT - HEIGHT * min(limit / top, 1.0), 1)
    return LineChart(paths, label, top_words, start, end, at, limit_words, header, rows)
