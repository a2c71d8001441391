"""Facets beside a search box: links that edit the search when one clicks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest

from artifacts.search import Facets, parse, toggled

SHOWN = 8  # values of a facet
NESTED = "created"  # its values hold one another, so that a single one tells something apart


@dataclass(frozen=True)
class FacetValue:
    value: str
    count: str  # with a plus when there may be more of them
    href: str  # the search with it, or without it when it is chosen
    chosen: bool


@dataclass(frozen=True)
class FacetGroup:
    title: str
    values: list[FacetValue]


def facet_groups(
    request: HttpRequest, text: str, facets: Facets, *, titles: Mapping[str, str], typed: Callable[[str, str], str]
) -> list[FacetGroup]:
    """The facets that tell something apart, and those by which the search is narrowed already.

    `typed`: what to type for a label and value.
    """
    scope = {name: request.GET[name] for name in ("project", "domain") if name in request.GET}
    conditions = parse(text)
    groups = []
    for label, counted in facets.values.items():
        values = []
        for value, number in counted[:SHOWN]:
            token = typed(label, value)
            chosen = parse(token)[0] in conditions
            if label == NESTED and not chosen and not 0 < number < facets.counted:
                continue
            href = "?" + urlencode({"q": toggled(text, token), **scope})
            values.append(FacetValue(value, facets.spell(label, number), href, chosen))
        if len(values) > (label != NESTED) or any(value.chosen for value in values):
            groups.append(FacetGroup(titles.get(label) or label.removeprefix("partition."), values))
    return groups
