"""Parallel coordinates: an axis for each measure, a line across them for each thing that is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.pages.charts.scales import COLOURS, Scale, scale_of, spell_mark


@dataclass(frozen=True)
class Axis:
    """`is_less_better`: it stands on its head, so that up is better on every axis."""

    name: str
    is_less_better: bool = False


@dataclass(frozen=True)
class Path:
    """A value for each axis, None where it has none."""

    name: str
    values: Sequence[float | None]
    url: str = ""


@dataclass(frozen=True)
class PlacedAxis:
    axis: Axis
    x: float
    top: str
    bottom: str


@dataclass(frozen=True)
class PlacedValue:
    x: float
    y: float
    words: str


@dataclass(frozen=True)
class DrawnPath:
    path: Path
    colour: int
    lines: Sequence[str]  # polylines in a box of 100 by 100: a missing value breaks the line
    dots: Sequence[PlacedValue]


@dataclass(frozen=True)
class ParallelChart:
    title: str
    axes: Sequence[PlacedAxis]
    paths: Sequence[DrawnPath]
    template = "partials/charts/parallel.html"


def parallel(
    title: str,
    axes: Sequence[Axis],
    paths: Sequence[Path],
    *,
    spell: Callable[[float], str] = spell_mark,
) -> ParallelChart | None:
    """None where there are not two axes, or not two paths to be told apart. At most COLOURS paths have colours of
    their own; whoever calls has the values in a table.
    """
    if len(axes) < 2 or len(paths) < 2:
        return None
    columns = [[path.values[at] for path in paths] for at in range(len(axes))]
    scales = [scale_of(value for value in column if value is not None) for column in columns]
    places = [100 * (at + 0.5) / len(axes) for at in range(len(axes))]
    placed = []
    for axis, scale, x in zip(axes, scales, places, strict=True):
        ends = spell(scale.high), spell(scale.low)
        placed.append(PlacedAxis(axis, round(x, 2), *(ends[::-1] if axis.is_less_better else ends)))
    drawn = [_drawn(path, number % COLOURS + 1, axes, scales, places, spell=spell) for number, path in enumerate(paths)]
    return ParallelChart(title, placed, drawn)


def _drawn(
    path: Path,
    colour: int,
    axes: Sequence[Axis],
    scales: Sequence[Scale],
    places: Sequence[float],
    *,
    spell: Callable[[float], str],
) -> DrawnPath:
    runs: list[list[str]] = [[]]
    dots = []
    for axis, scale, x, value in zip(axes, scales, places, path.values, strict=True):
        if value is None:
            runs.append([])
            continue
        up = scale.at(value)
        y = round(up if axis.is_less_better else 100 - up, 2)
        runs[-1].append(f"{x:g},{y:g}")
        dots.append(PlacedValue(round(x, 2), y, f"{path.name}: {axis.name} {spell(value)}"))
    return DrawnPath(path, colour, [" ".join(run) for run in runs if len(run) > 1], dots)
