"""The cells of an artifact's matrix as HTML. There can be more than a thousand: templates would take most of a page's
time for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from html import escape
from urllib.parse import quote_plus

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from artifacts.matrix import Matrix, Place
from artifacts.models import Artifact
from console.pages.partition_runs import PlaceRun


def rows_of(
    artifact: Artifact,
    matrix: Matrix,
    *,
    stale: Collection[int],
    runs: Mapping[tuple[str, str], PlaceRun],
    may_launch: bool,
) -> Iterator[tuple[str, SafeString]]:
    """By row its name and its cells: links to the version that is there, to what makes it or failed to, or to where
    what is missing is launched.
    """
    version = reverse("version", args=[0]).removesuffix("0/")
    launch = escape(reverse("launch-missing", args=artifact.key)) if may_launch else ""
    for name, places in matrix.rows:
        cells = (_cell(place, version, launch, stale, runs.get((place.row, place.column))) for place in places)
        yield name, mark_safe("".join(cells))  # noqa: S308 - each cell escapes what it says


_said = lru_cache(maxsize=1_000)(escape)  # rows and columns share their words and values


@lru_cache(maxsize=1_000)
def _asked(key: str, value: str) -> str:
    return f"{quote_plus(key)}={quote_plus(value)}"


def _words(place: Place) -> str:
    return f"{_said(place.row)}, {_said(place.column)}" if place.row and place.column else _said(place.words)


def _cell(place: Place, version: str, launch: str, stale: Collection[int], run: PlaceRun | None) -> str:
    words = _words(place)
    if run is not None:
        url: str = escape(reverse("execution", args=[run.project, run.domain, run.name]))
        return f'<td><a class="tone-{run.tone}" href="{url}" title="{words}, {run.words}: {escape(run.name)}"></a></td>'
    if place.version is not None:
        tone, state = ("warn", "out of date") if place.version in stale else ("good", "fresh")
        return f'<td><a class="tone-{tone}" href="{version}{place.version}/" title="{words}, {state}"></a></td>'
    if launch:
        url = f"{launch}?{'&amp;'.join([_asked(*one) for one in place.partitions.items()])}"
        return f'<td><a class="matrix-gap" rel="nofollow" href="{url}" title="{words}, missing: launch it"></a></td>'
    label = f'role="img" aria-label="{words}, missing" title="{words}, missing"'
    return f'<td><span class="matrix-gap" {label}></span></td>'
