"""Pages about lineage: whole ancestries, what is out of date, comparisons, and the map of artifacts."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from artifacts.exceptions import InvalidArgument
from artifacts.models import Artifact, ArtifactVersion
from console.access_objects import access_artifact, access_version_id
from console.accounts import access
from console.pages.artifacts_context import version_context
from console.pages.lineage_graphs import drawn_names, drawn_versions, rows_of
from console.pages.paging import number
from console.pages.responses import PageRequest, page
from console.pages.scope import in_scope, scope_of
from lineage.names import MAX_ARTIFACTS, NameGraph, name_graph, name_graph_of, stale_versions
from lineage.render import CONTENT_TYPES, FORMATS, NAME_FORMATS, graph_events, graph_json, graph_text, names_json
from lineage.render import names_text as names_as_text
from lineage.walks import MAX_DEPTH, ancestry, impact, staleness, trained_on

DEPTHS = (1, 2, 3, 5, 10)
SHOWN = 500  # versions of one graph; what is asked for with ?all=1 goes to MAX_NODES
CANVAS_DEPTH = 2  # steps drawn for who has no scripts
PICKED = 100  # versions to choose from


@require_GET
@page
def show_graph(request: PageRequest, version_id: int) -> HttpResponse:
    """Everything that the version was made of, or that was made of it; with `?format=` as a file."""
    version = access_version_id(request.user, version_id)
    direction = "downstream" if request.GET.get("direction") == "downstream" else "upstream"
    asked = request.GET.get("depth", "3")
    depth = min(number(asked) or MAX_DEPTH, MAX_DEPTH)
    walk = ancestry if direction == "upstream" else impact
    reached = walk(version.pk, max_depth=depth, limit=SHOWN)
    readable = access.reader(request.user)
    if form := request.GET.get("format", ""):
        if form not in FORMATS:
            raise InvalidArgument(f"format must be one of: {', '.join(FORMATS)}")
        if form in CONTENT_TYPES:
            return _file(graph_text(reached, form, readable=readable), form)
        body = (
            graph_events(reached, readable=readable)
            if form == "openlineage"
            else graph_json(reached, readable=readable)
        )
        return _json(body, form)
    context = version_context(version) | {
        "tab": "lineage",
        "direction": direction,
        "depth": depth,
        "depths": DEPTHS,
        "reached": reached,
        "rows": rows_of(reached, readable=readable),
        "formats": FORMATS,
        **drawn_versions(reached, readable=readable),
    }
    return render(request, "artifacts/graph.html", context)


@require_GET
@page
def show_canvas(request: PageRequest, version_id: int) -> HttpResponse:
    """Both directions on one canvas, which asks for more by itself; for who has no scripts two pictures with tables."""
    version = access_version_id(request.user, version_id)
    readable = access.reader(request.user)
    sides = []
    for title, walk in (("What it was made of", ancestry), ("What was made of it", impact)):
        reached = walk(version.pk, max_depth=CANVAS_DEPTH, limit=SHOWN)
        rows = rows_of(reached, readable=readable)
        sides.append({"title": title, "rows": rows, "reached": reached, **drawn_versions(reached, readable=readable)})
    context = version_context(version) | {
        "tab": "lineage",
        "sides": sides,
        "api": reverse("rest:version-graph", args=[0]),
    }
    return render(request, "artifacts/canvas.html", context)


def _file(text: str, form: str) -> HttpResponse:
    response = HttpResponse(text, content_type=CONTENT_TYPES[form])
    ending = {"dot": "dot", "mermaid": "mmd"}[form]
    response["Content-Disposition"] = f'attachment; filename="lineage.{ending}"'
    return response


def _json(body: Any, form: str) -> HttpResponse:
    text = json.dumps(body, cls=DjangoJSONEncoder, indent=2)
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="lineage{"-events" if form == "openlineage" else ""}.json"'
    return response


def lineage_summary(version: ArtifactVersion, request: PageRequest) -> dict[str, Any]:
    """For the lineage tab: what it was trained on and why it is out of date, of what the user may read."""
    readable = access.reader(request.user)
    trained = [(one, depth) for one, depth in trained_on(version.pk) if readable(one.project, one.domain)]
    stale = [one for one in staleness(version.pk) if readable(one.used.project, one.used.domain)]
    return {"trained": trained[:SHOWN], "stale": stale[:SHOWN]}


@require_GET
@page
def show_map(request: PageRequest) -> HttpResponse:
    """Which artifacts are made of which: of one artifact (`?artifact=project/domain/name`), or of the scope."""
    readable = access.reader(request.user)
    artifact, graph = _map_of(request)
    if form := request.GET.get("format", ""):
        if form not in NAME_FORMATS:
            raise InvalidArgument(f"format must be one of: {', '.join(NAME_FORMATS)}")
        if form == "json":
            return _json(names_json(graph, readable=readable), form)
        return _file(names_as_text(graph, form, readable=readable), form)
    context = {
        "artifact": artifact,
        "map_scope": scope_of(request),
        "graph": graph,
        "formats": NAME_FORMATS,
        "stale": [
            row
            for row in stale_versions([one for one in graph.artifacts if readable(one.project, one.domain)])
            if readable(*row.used.artifact.key[:2])
        ][:PICKED],
        **drawn_names(graph, readable=readable),
    }
    return render(request, "artifacts/map.html", context)


def _map_of(request: PageRequest) -> tuple[Artifact | None, NameGraph]:
    parts = request.GET.get("artifact", "").split("/", 2)
    if len(parts) == 3:
        artifact = access_artifact(request.user, *parts)
        return artifact, name_graph(artifact)
    rows = in_scope(request, Artifact.objects.order_by("-pk"))
    return None, name_graph_of(rows.values_list("pk", flat=True)[: MAX_ARTIFACTS + 1])


@require_GET
@page
def compare(request: PageRequest, version_id: int) -> HttpResponse:
    """To the comparison with another version, `?with=`; else with the newest before it. `?this=` takes its place."""
    given = number(request.GET.get("this", ""))
    version = access_version_id(request.user, version_id if given is None else given)
    other = number(request.GET.get("with", ""))
    if other is None:
        earlier = version.artifact.versions.filter(pk__lt=version.pk).order_by("-pk")
        other = earlier.values_list("pk", flat=True).first()
    chosen = [pk for pk in (other, version.pk) if pk is not None]
    return redirect(f"{reverse('compare')}?{urlencode([('v', pk) for pk in chosen])}")
