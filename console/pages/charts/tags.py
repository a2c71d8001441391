"""Template tags that draw charts, loaded everywhere as builtins."""

from __future__ import annotations

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from console.pages.charts.bars import BarChart
from console.pages.charts.lines import LineChart
from console.pages.charts.parallel import ParallelChart

register = template.Library()


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
