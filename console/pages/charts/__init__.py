"""Charts as SVG, drawn on the server: they fit any width, and each has a table behind it.

Make one with `lines`, `bars` or `parallel`, hand it to the template and write `{% chart it %}`; `{% strip it %}` draws
bars alone, for a cell of a table. Places are per cent of the picture, colours come from the style sheet.
"""

from __future__ import annotations

from console.pages.charts.bars import Bar, BarChart, Part, bars
from console.pages.charts.lines import Bound, Dot, LineChart, Series, lines
from console.pages.charts.parallel import Axis, ParallelChart, Path, parallel

__all__ = [
    "Axis",
    "Bar",
    "BarChart",
    "Bound",
    "Dot",
    "LineChart",
    "ParallelChart",
    "Part",
    "Path",
    "Series",
    "bars",
    "lines",
    "parallel",
]
