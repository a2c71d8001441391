"""The page that holds versions or executions against each other. Its address says all: it can be handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from artifacts.exceptions import InvalidArgument
from artifacts.measures import Better, Delta, Measure, Verdict
from artifacts.models import Alias, Artifact, ArtifactVersion
from artifacts.queries import newest_first
from artifacts.summaries import summaries_of
from console.access_objects import access_artifact
from console.accounts import access
from console.comparison import (
    MOST,
    Compared,
    Line,
    compare_executions,
    compare_versions,
    executions_to_compare,
    versions_to_compare,
)
from console.pages.badges import Badge
from console.pages.charts import Axis, Bar, BarChart, ParallelChart, Path, bars, parallel
from console.pages.metrics import spell, spell_delta
from console.pages.paging import number
from console.pages.responses import PageRequest, page
from console.pages.values import spell as spell_value
from scheduler.models import Execution

CHOICES = 100  # versions offered to be added
PLACES = 20  # other domains and projects with an artifact of that name
HEAVY = ("literal", "literal_type", "card", "terms")
CHARTED = 8  # measures that are drawn
TONES = {
    Verdict.BETTER: Badge("better", "good"),
    Verdict.WORSE: Badge("worse", "bad"),
    Verdict.DIFFERENT: Badge("other"),
}


@dataclass(frozen=True)
class Column:
    """One of the things that are compared. `key`: its parameter; the addresses leave it out, or make it the base."""

    title: str
    sub: str
    key: str
    url: str
    without: str
    as_base: str
    thing: ArtifactVersion | Execution


@dataclass(frozen=True)
class Cell:
    text: str
    delta: str
    badge: Badge | None
    is_best: bool


@dataclass(frozen=True)
class MeasureRow:
    measure: Measure
    cells: Sequence[Cell]


@require_GET
@page
def compare(request: PageRequest) -> HttpResponse:
    """`?v=` versions by id or `?x=` executions by project/domain/name, as often as there are; the first is the base
    unless `?base=` names another. `?less=` and `?more=` say which way a measure is better, `?all=1` shows equals too.

    `?artifact=project/domain/name` alone: its newest two versions.
    """
    if request.GET.getlist("x") and request.GET.getlist("v"):
        raise InvalidArgument("compare versions (?v=) or executions (?x=), not both at once")
    said = dict.fromkeys(request.GET.getlist("less"), Better.LESS)
    said |= dict.fromkeys(request.GET.getlist("more"), Better.MORE)
    if keys := request.GET.getlist("x"):
        executions = executions_to_compare(request.user, keys)
        base = _base(request, [one.key for one in executions])
        found = compare_executions(request.user, executions, base=base, said=said)
        columns = [_execution_column(request, one) for one in executions]
        return render(request, "compare/compare.html", _context(request, columns, found, base, "x"))
    versions = _versions(request)
    base = _base(request, [str(one.pk) for one in versions])
    shown = compare_versions(request.user, versions, base=base, said=said) if versions else None
    columns = [_version_column(request, one) for one in versions]
    context = _context(request, columns, shown, base, "v")
    context |= {"choices": _choices(versions), "elsewhere": _elsewhere(request, versions)}
    return render(request, "compare/compare.html", context)


def _versions(request: PageRequest) -> list[ArtifactVersion]:
    given = request.GET.getlist("v")
    ids = [number(text) for text in given]
    if None in ids:
        raise InvalidArgument(f"'{given[ids.index(None)][:100]}' is no version: ?v= takes its number")
    parts = request.GET.get("artifact", "").split("/", 2)
    if not ids and len(parts) == 3:
        artifact = access_artifact(request.user, *parts)
        ids = list(newest_first(artifact.versions.all()).values_list("pk", flat=True)[:2])
    return versions_to_compare(request.user, [pk for pk in ids if pk is not None])


def _base(request: PageRequest, keys: Sequence[str]) -> int:
    wanted = request.GET.get("base", "")
    return keys.index(wanted) if wanted in keys else 0


def _choices(versions: Sequence[ArtifactVersion]) -> list[ArtifactVersion]:
    """Others of the first one's artifact."""
    if not versions:
        return []
    rows = newest_first(versions[0].artifact.versions.exclude(pk__in=[one.pk for one in versions]))
    return list(rows.select_related("artifact").defer(*HEAVY)[:CHOICES])


def _elsewhere(request: PageRequest, versions: Sequence[ArtifactVersion]) -> list[ArtifactVersion]:
    """Of artifacts that are called as the first one's in other domains and projects: the newest, and those that aliases
    name. So an experiment is held against production.
    """
    if not versions:
        return []
    own = versions[0].artifact
    named = Artifact.objects.filter(access.readable(request.user), name=own.name).exclude(pk=own.pk)
    others = list(named.order_by("project", "domain").values_list("pk", flat=True)[:PLACES])
    if not others:
        return []
    summaries = summaries_of(others, with_counts=False).values()
    newest = {one.newest for one in summaries if one.newest is not None}
    called = Alias.objects.filter(artifact__in=others).order_by("-moved_at").values_list("version", flat=True)[:CHOICES]
    rows = ArtifactVersion.objects.filter(pk__in=newest.union(called) - {one.pk for one in versions})
    rows = rows.select_related("artifact").prefetch_related("aliases").defer(*HEAVY)
    return sorted(rows, key=lambda one: (one.artifact.key, -one.pk))


def _partitions(thing: ArtifactVersion | Execution) -> str:
    shown = thing.shown_partitions if isinstance(thing, ArtifactVersion) else []
    return ", ".join(f"{key}={value}" for key, value in shown)


def _version_column(request: PageRequest, version: ArtifactVersion) -> Column:
    partitions = _partitions(version)
    title = version.artifact.name if not partitions else f"{version.artifact.name} {partitions}"
    url = reverse("version", args=[version.pk])
    return Column(title, version.version, str(version.pk), url, *_addresses(request, "v", str(version.pk)), version)


def _execution_column(request: PageRequest, execution: Execution) -> Column:
    url = reverse("execution", args=[execution.project, execution.domain, execution.name])
    title = execution.workflow.name.rsplit(".", 1)[-1]
    return Column(title, execution.name, execution.key, url, *_addresses(request, "x", execution.key), execution)


def _addresses(request: PageRequest, parameter: str, key: str) -> tuple[str, str]:
    """The same comparison without that one, and with it as the base."""
    without = request.GET.copy()
    without.setlist(parameter, [one for one in without.getlist(parameter) if one != key])
    as_base = request.GET.copy()
    as_base["base"] = key
    return f"?{without.urlencode()}", f"?{as_base.urlencode()}"


def _context(
    request: PageRequest, columns: Sequence[Column], found: Compared | None, base: int, parameter: str
) -> dict[str, Any]:
    shows_all = request.GET.get("all") == "1"
    context: dict[str, Any] = {"columns": columns, "base": base, "parameter": parameter, "most": MOST, "found": found}
    context |= {"shows_all": shows_all, "is_alone": len(columns) < 2, "kept": _kept(request)}
    if found is None:
        return context
    names = _short_names(columns)
    return context | {
        "measures": [measure_row(one) for one in found.measures],
        "bars": _bars(found.measures, columns, names),
        "parallel": _parallel(found.measures, columns, names),
        "sections": [
            (title, [(line, [_shown(value) for value in line.values]) for line in lines if shows_all or line.differs])
            for title, lines in _sections(found)
            if lines
        ],
        "cards": [(columns[at], [(line, _tone(line)) for line in diff]) for at, diff in found.cards.items()],
    }


def _kept(request: PageRequest) -> list[tuple[str, str]]:
    """What the forms of the page hand on."""
    names = ("v", "x", "base", "less", "more", "all")
    return [(name, value) for name in names for value in request.GET.getlist(name)]


def _sections(found: Compared) -> list[tuple[str, Sequence[Line]]]:
    return [
        ("Inputs", found.inputs),
        ("Outputs", found.outputs),
        ("Environment", found.environment),
        ("Schema", found.schema),
        ("What is known of them", found.facts),
    ]


def measure_row(measure: Measure) -> MeasureRow:
    """A measure as a row of a table: its values with their differences from the base."""
    cells = [_cell(delta, is_best=at in measure.best) for at, delta in enumerate(measure.deltas)]
    return MeasureRow(measure, cells)


def _cell(delta: Delta, *, is_best: bool) -> Cell:
    text = "" if delta.value is None else spell(delta.value)
    return Cell(text, spell_delta(delta), TONES.get(delta.verdict), is_best)


def _short_names(columns: Sequence[Column]) -> list[str]:
    """What tells them apart in a drawing: the partitions, the artifact or workflow if those do, else the version."""
    partitions = [_partitions(column.thing) for column in columns]
    if len({column.thing.artifact_id for column in columns if isinstance(column.thing, ArtifactVersion)}) > 1:
        partitions = []
    choices = (partitions, [column.title for column in columns], [column.sub for column in columns])
    return next(names for names in choices if len(set(names)) == len(columns) or names is choices[-1])


def _bars(measures: Sequence[Measure], columns: Sequence[Column], names: Sequence[str]) -> list[BarChart]:
    drawn = []
    for measure in [one for one in measures if one.differs][:CHARTED]:
        given = [
            Bar.of(name, delta.value, tone=_bar_tone(delta, at in measure.best), url=column.url)
            for at, (name, column, delta) in enumerate(zip(names, columns, measure.deltas, strict=True))
            if delta.value is not None  # which is not zero
        ]
        drawn.append(bars(measure.name, given, spell=spell, head=("", measure.name)))
    return [one for one in drawn if one is not None]


def _bar_tone(delta: Delta, is_best: bool) -> str:
    return "good" if is_best else "info" if delta.verdict is Verdict.BASE else "neutral"


def _parallel(measures: Sequence[Measure], columns: Sequence[Column], names: Sequence[str]) -> ParallelChart | None:
    shown = [one for one in measures if one.differs][:CHARTED]
    axes = [Axis(one.name, is_less_better=one.better is Better.LESS) for one in shown]
    paths = [
        Path(name, [one.values[at] for one in shown], column.url)
        for at, (name, column) in enumerate(zip(names, columns, strict=True))
    ]
    return parallel("All measures at once", axes, paths, spell=spell)


def _shown(value: Any) -> str | None:
    """None: there is none."""
    return None if value is None else spell(value) if isinstance(value, (int, float)) else spell_value(value)


def _tone(line: str) -> str:
    return "neutral" if line.startswith(("+++", "---")) else {"+": "good", "-": "bad"}.get(line[:1], "neutral")
