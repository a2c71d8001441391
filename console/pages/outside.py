"""Pages about what other systems told of their jobs, runs and datasets by OpenLineage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from artifacts.exceptions import NotFound
from artifacts.models import ArtifactVersion
from console.accounts import access
from console.pages import graphs
from console.pages.lineage_graphs import HIDDEN, Box
from console.pages.paging import newest_first
from console.pages.responses import PageRequest, page
from console.pages.scope import in_scope
from lineage.models import DatasetRule, OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.outside.facets import shown
from lineage.outside_queries import (
    Neighbour,
    children_of,
    columns_of,
    datasets_of,
    jobs_of,
    runs_of_job,
    uses_of_dataset,
    uses_of_run,
    uses_of_version,
)

FACET_LETTERS = 20_000  # of one facet that are shown; the rest is in REST


@require_GET
@page
def list_outside(request: PageRequest) -> HttpResponse:
    """Datasets, or with `?kind=jobs` jobs, of the scope; and the naming rules there."""
    kind = "jobs" if request.GET.get("kind") == "jobs" else "datasets"
    model = OutsideJob if kind == "jobs" else OutsideDataset
    rows: QuerySet[Any] = in_scope(request, model.objects.defer("facets"))
    rules = in_scope(request, DatasetRule.objects.order_by("project", "domain", "position", "id"))[:100]
    context = {"kind": kind, "page": newest_first(request, rows, by="seen_at"), "rules": rules}
    return render(request, "outside/list.html", context)


@require_GET
@page
def show_dataset(request: PageRequest, pk: int) -> HttpResponse:
    """Its columns and what these were made of, who writes and who reads it, its facets."""
    dataset = _find(request, OutsideDataset.objects.all(), pk)
    jobs = jobs_of(dataset)
    context = {
        "dataset": dataset,
        "columns": columns_of(dataset),
        "jobs": jobs,
        "uses": _readable_uses(request, uses_of_dataset(dataset)),
        "facets": _facets(dataset.facets, without=("schema", "columnLineage")),
        **_drawn("dataset", dataset, jobs, "outside-job"),
    }
    return render(request, "outside/dataset.html", context)


@require_GET
@page
def show_job(request: PageRequest, pk: int) -> HttpResponse:
    job = _find(request, OutsideJob.objects.all(), pk)
    datasets = datasets_of(job)
    context = {
        "job": job,
        "datasets": datasets,
        "runs": runs_of_job(job).defer("facets")[:50],
        "facets": _facets(job.facets),
        **_drawn("job", job, datasets, "outside-dataset"),
    }
    return render(request, "outside/job.html", context)


@require_GET
@page
def show_run(request: PageRequest, pk: int) -> HttpResponse:
    run = _find(request, OutsideRun.objects.select_related("job"), pk)
    same_place = OutsideRun.objects.filter(project=run.project, domain=run.domain).select_related("job")
    context = {
        "run": run,
        "uses": _readable_uses(request, uses_of_run(run)),
        "children": children_of(run),
        "parent": same_place.filter(run_id=run.parent).first() if run.parent else None,
        "facets": _facets(run.facets),
    }
    return render(request, "outside/run.html", context)


def outside_of(request: HttpRequest, version: ArtifactVersion) -> list[OutsideUse]:
    """Runs elsewhere that wrote or read the version, of places that the user may read."""
    readable = access.reader(request.user)
    return [use for use in uses_of_version(version) if readable(use.job.project, use.job.domain)]


def _find(request: PageRequest, rows: QuerySet[Any], pk: int) -> Any:
    found = rows.filter(access.readable(request.user), pk=pk).first()
    if found is None:
        raise NotFound("no such thing that another system told of")
    return found


def _readable_uses(request: PageRequest, uses: Sequence[OutsideUse]) -> list[OutsideUse]:
    """With the versions that the user may read; the others are as if there were none."""
    readable = access.reader(request.user)
    for use in uses:
        if use.version is not None and not readable(use.version.artifact.project, use.version.artifact.domain):
            use.version = None
    return list(uses)


def _facets(kept: dict[str, Any], without: Sequence[str] = ()) -> list[tuple[str, str]]:
    """By name, as JSON that people read."""
    return [
        (name, json.dumps(value, indent=2, ensure_ascii=False)[:FACET_LETTERS])
        for name, value in sorted(shown(kept).items())
        if name not in without
    ]


def _drawn(kind: str, focus: OutsideDataset | OutsideJob, around: Sequence[Neighbour], view: str) -> dict[str, Any]:
    """The thing between what it reads or is written by, at its left, and the others."""
    left = "output" if kind == "dataset" else "input"
    keys = [0, *dict.fromkeys(one.pk for one in around)]
    edges = [(one.pk, 0) if one.role == left else (0, one.pk) for one in around]
    drawing = graphs.layout(keys, edges)
    named = {one.pk: one for one in around}
    own, other = ("node-artifact", "node-run") if kind == "dataset" else ("node-run", "node-artifact")
    boxes = [_box(focus.namespace, focus.name, "", drawing.places[0], f"node-self {own}")]
    for pk in keys[1:]:
        boxes.append(_box(named[pk].namespace, named[pk].name, reverse(view, args=[pk]), drawing.places[pk], other))
    return {"drawing": drawing, "boxes": boxes}


def _box(namespace: str, name: str, url: str, place: graphs.Place[int], css: str) -> Box:
    title = graphs.shorten(name.rsplit("/", 1)[-1] or name or HIDDEN)
    sub = graphs.shorten(namespace, graphs.SUB_LETTERS)
    return Box(title, sub, url, "neutral", css, f"{namespace} {name}", place.x, place.y)
