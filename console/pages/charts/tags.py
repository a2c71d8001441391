"""Template tags that draw charts, loaded everywhere as builtins."""

from __future__ import annotations

from django import template
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console.pages.charts.bars import BarChart, PlacedBar
from console.pages.charts.lines import Dot, LineChart, PlacedDot
from console.pages.charts.parallel import ParallelChart

register = template.Library()


@register.simple_tag
def drawn_bars(drawn: BarChart) -> SafeString:
    """The bars as SVG. Written here and not in a template: lists have hundreds of them."""
    return mark_safe("".join(_bar(one) for one in drawn.bars))  # noqa: S308 - numbers, and texts that are escaped


@register.simple_tag
def drawn_dots(drawn: LineChart) -> SafeString:
    """The points as SVG, likewise."""
    dots = (_dot(each, one.colour) for one in drawn.series for each in one.dots)
    return mark_safe("".join(dots))  # noqa: S308 - as above


def _dot(one: PlacedDot, colour: int) -> str:
    dot, x, y = one.dot, f"{one.x:.2f}%", f"{one.y:.2f}%"
    ring, radius = (" chart-ring", "5") if dot.is_ringed else ("", "3.5")
    title = f"<title>{escape(dot.words)}</title>" if dot.words else ""
    point = f'<circle class="chart-dot series-{colour}{ring}" cx="{x}" cy="{y}" r="{radius}">{title}</circle>'
    if dot.url:
        point = f'<a href="{escape(dot.url)}" tabindex="-1">{point}</a>'
    if not dot.mark:
        return point
    anchor = "end" if one.x > 85 else "start" if one.x < 15 else "middle"
    return f'{point}<text class="chart-mark" x="{x}" y="{y}" dy="-9" text-anchor="{anchor}">{escape(dot.mark)}</text>'


@register.simple_tag
def told_rows(drawn: LineChart) -> SafeString:
    """The rows of the table behind it."""
    rows = "".join(_row(drawn, *row) for row in drawn.rows)
    return mark_safe(rows)  # noqa: S308 - as above


def _row(drawn: LineChart, name: str, when: str, dot: Dot) -> str:
    first = f"<td>{escape(name)}</td>" if drawn.head[0] else ""
    moment = f'<a href="{escape(dot.url)}">{escape(when)}</a>' if dot.url else escape(when)
    mark = f' <span class="muted">{escape(dot.mark)}</span>' if dot.mark else ""
    value = escape(drawn.spell(dot.value))
    return f'<tr>{first}<td class="nowrap">{moment}{mark}</td><td class="num">{value}</td></tr>'


def _bar(one: PlacedBar) -> str:
    place = f'x="{one.x:g}%" width="{one.width:g}%"'
    parts = "".join(
        f'<rect class="bar tone-{escape(part.tone)}" {place} y="{part.y:g}%" height="{part.height:g}%"/>'
        for part in one.parts
    )
    room = f'<rect class="chart-room" {place} y="0" height="100%"/>'
    group = f"<g><title>{escape(one.words)}</title>{room}{parts}</g>"
    return f'<a href="{escape(one.bar.url)}" tabindex="-1">{group}</a>' if one.bar.url else group


@register.simple_tag
def chart(drawn: LineChart | BarChart | ParallelChart | None) -> SafeString | str:
    """The whole figure: picture, legend and table. Nothing where there is nothing to draw."""
    return "" if drawn is None else render_to_string(drawn.template, {"chart": drawn})


@register.simple_tag
def strip(drawn: BarChart | None) -> SafeString | str:
    """The bars alone, for a cell of a table or a line of a list."""
    return "" if drawn is None else render_to_string("partials/charts/strip.html", {"chart": drawn})


@register.filter
def spelled(value: float, drawn: LineChart | BarChart) -> str:
    """A value as the chart writes it."""
    return drawn.spell(value)
