"""Curves, dots and bars as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.decks.page import FILL, INK, LINE, MUTED, escaped, text

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 480, 360, 56, 44, 12
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    low: float
    high: float
    name: str

    def share(self, value: float) -> float:
        """Where it lies between the ends, from 0 to 1."""
        return (value - self.low) / ((self.high - self.low) or 1)


def curve(points: Sequence[Point], x: Axis, y: Axis, *, label: str, guide: Sequence[Point] = ()) -> str:
    """A line through the points, and a dashed one to compare it with."""
    inner = _line(guide, x, y, f'stroke="{MUTED}" stroke-dasharray="5 5"') if guide else ""
    return _frame(x, y, inner + _line(points, x, y, f'stroke="{FILL}" stroke-width="2.5"'), label)


def dots(points: Sequence[Point], x: Axis, y: Axis, *, label: str, guide: Sequence[Point] = ()) -> str:
    inner = _line(guide, x, y, f'stroke="{MUTED}" stroke-dasharray="5 5"') if guide else ""
    for point in points:
        at, up = _place(point, x, y)
        inner += f'<circle cx="{at:.1f}" cy="{up:.1f}" r="3" fill="{FILL}" fill-opacity=".55"/>'
    return _frame(x, y, inner, label)


def bars(rows: Sequence[tuple[str, float]], *, label: str) -> str:
    """Lying, the names to the left; negative ones to the left of the middle line."""
    low, high = min(0.0, *(value for _, value in rows)), max(0.0, *(value for _, value in rows))
    axis, height = Axis(low, high or (1.0 if low == 0 else 0.0), ""), 26 * len(rows) + 8
    zero, drawn = 180 + 280 * axis.share(0), ""
    for number, (name, value) in enumerate(rows):
        at, y = 180 + 280 * axis.share(value), 4 + 26 * number
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        drawn += f'<text x="172" y="{y + 16}" text-anchor="end" fill="{INK}">{escaped(shown)}</text>'
        drawn += f'<rect x="{min(zero, at):.1f}" y="{y}" width="{abs(at - zero):.1f}" height="20" fill="{FILL}"/>'
    drawn += f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}" stroke="{MUTED}"/>'
    return _svg(drawn, 480, height, label)


def _place(point: Point, x: Axis, y: Axis) -> Point:
    at = LEFT + x.share(point[0]) * (WIDTH - LEFT - EDGE)
    return at, HEIGHT - BOTTOM - y.share(point[1]) * (HEIGHT - BOTTOM - EDGE)


def _line(points: Sequence[Point], x: Axis, y: Axis, style: str) -> str:
    places = " ".join(f"{at:.1f},{up:.1f}" for at, up in (_place(point, x, y) for point in points))
    return f'<polyline points="{places}" fill="none" {style}/>'


def _frame(x: Axis, y: Axis, inner: str, label: str) -> str:
    right, low = WIDTH - EDGE, HEIGHT - BOTTOM
    drawn = f'<path d="M{LEFT} {EDGE}V{low}H{right}" fill="none" stroke="{LINE}"/>'
    for part in (0.0, 0.5, 1.0):
        at, up = _place((x.low + part * (x.high - x.low), y.low + part * (y.high - y.low)), x, y)
        drawn += f'<text x="{at:.0f}" y="{low + 16}" text-anchor="middle" fill="{MUTED}">'
        drawn += f"{text(float(x.low + part * (x.high - x.low)))}</text>"
        drawn += f'<text x="{LEFT - 6}" y="{up + 4:.0f}" text-anchor="end" fill="{MUTED}">'
        drawn += f"{text(float(y.low + part * (y.high - y.low)))}</text>"
    drawn += f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle" fill="{INK}">'
    drawn += f"{escaped(x.name)}</text>"
    drawn += f'<text transform="translate(13 {low / 2:.0f}) rotate(-90)" text-anchor="middle" fill="{INK}">'
    return _svg(drawn + f"{escaped(y.name)}</text>" + inner, WIDTH, HEIGHT, label)


def _svg(inner: str, width: int, height: int, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escaped(label)}" font-size="12" font-family="system-ui,sans-serif">{inner}</svg>'
    )
