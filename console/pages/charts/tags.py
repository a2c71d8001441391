"""Template tags that draw charts, loaded everywhere as builtins."""

from __future__ import annotations

from django import template
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console.pages.charts.bars import BarChart, PlacedBar
from console.pages.charts.lines import LineChart
from console.pages.charts.parallel import ParallelChart

register = template.Library()


@register.simple_tag
def drawn_bars(drawn: BarChart) -> SafeString:
    """The bars as SVG. Written here and not in a template: lists have hundreds of them."""
    return mark_safe("".join(_bar(one) for one in drawn.bars))  # noqa: S308 - numbers, and texts that are escaped


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
