"""Graphs of lineage: ancestries, impact, what is stale, comparisons, and the map of artifacts.

Versions and artifacts of projects that the user may not read are in them as stubs that tell nothing but that they are.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.models import Artifact
from console.access_objects import access_artifact, access_version_id
from console.accounts import access
from console.accounts.models import User
from console.rest.base import ApiView, Body, read_query, user_of
from lineage.compare import compare_versions
from lineage.names import MAX_ARTIFACTS, name_graph, name_graph_of, stale_among, stale_versions
from lineage.render import (
    CONTENT_TYPES,
    FORMATS,
    NAME_FORMATS,
    Readable,
    graph_events,
    graph_json,
    graph_text,
    names_json,
    names_text,
    node_json,
)
from lineage.walks import MAX_NODES, ancestry, impact, nodes_of, staleness, trained_on

TAGS = ["lineage"]
MAX_DEPTH = 10_000
DEFAULT_NODES = 1000


class NodeOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    hidden = serializers.BooleanField(help_text="you may not read it: nothing else is told")
    project = serializers.CharField(required=False)
    domain = serializers.CharField(required=False)
    name = serializers.CharField(required=False)
    version = serializers.CharField(required=False)
    kind = serializers.CharField(required=False)
    partitions = serializers.DictField(child=serializers.CharField(), required=False)
    time_partition = serializers.DateTimeField(required=False, allow_null=True)
    created_at = serializers.DateTimeField(required=False)
    removed_at = serializers.DateTimeField(required=False, allow_null=True)
    execution = serializers.CharField(required=False, allow_null=True)
    node_id = serializers.CharField(required=False)
    producer = serializers.CharField(required=False)
    same_data_as = serializers.IntegerField(required=False, allow_null=True)
    depth = serializers.IntegerField(required=False, help_text="steps away from the start")
    stale = serializers.BooleanField(required=False, help_text="with `stale=1`: made of what was published anew since")


class EdgeOut(serializers.Serializer[Any]):
    source = serializers.IntegerField()  # type: ignore[assignment]  # a name that DRF's fields have too
    target = serializers.IntegerField()


class GraphOut(serializers.Serializer[Any]):
    direction = serializers.ChoiceField(choices=["upstream", "downstream"])
    start = serializers.IntegerField()
    nodes = NodeOut(many=True, help_text="nearest first")
    edges = EdgeOut(many=True, help_text="from what was used to what was made of it")
    truncated = serializers.BooleanField(help_text="there is more than `limit`")


class GraphFilters(Body):
    direction = serializers.ChoiceField(choices=["upstream", "downstream"], required=False, default="upstream")
    depth = serializers.IntegerField(required=False, min_value=1, max_value=MAX_DEPTH, default=MAX_DEPTH)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MAX_NODES, default=DEFAULT_NODES)
    format = serializers.ChoiceField(choices=FORMATS, required=False, default="json")
    stale = serializers.BooleanField(required=False, default=False, help_text="say of each whether it is out of date")


_TEXTS = {
    (200, CONTENT_TYPES[form].partition(";")[0]): OpenApiResponse(OpenApiTypes.STR, description=f"with format={form}")
    for form in CONTENT_TYPES
}


class RunEventOut(serializers.Serializer[Any]):
    """An OpenLineage event, as `format=openlineage` gives them."""

    eventType = serializers.CharField()
    eventTime = serializers.DateTimeField()
    run = serializers.DictField()
    job = serializers.DictField()
    inputs = serializers.ListField(child=serializers.DictField())
    outputs = serializers.ListField(child=serializers.DictField())


_GRAPH = PolymorphicProxySerializer(
    component_name="GraphOrEvents",
    serializers=[GraphOut, RunEventOut(many=True)],
    resource_type_field_name=None,
    many=False,
)


class GraphView(ApiView):
    @extend_schema(parameters=[GraphFilters], responses={200: _GRAPH, **_TEXTS}, tags=TAGS)
    def get(self, request: Request, version_id: int) -> HttpResponse:
        """Everything the version was made of (upstream) or that was made of it (downstream), nearest first."""
        asked = read_query(GraphFilters, request)
        user = user_of(request)
        version = access_version_id(user, version_id)
        walk = ancestry if asked["direction"] == "upstream" else impact
        reached = walk(version.pk, max_depth=asked["depth"], limit=asked["limit"])
        readable = access.reader(user)
        if asked["format"] == "openlineage":
            return Response(graph_events(reached, readable=readable))
        if asked["format"] != "json":
            return text_response(graph_text(reached, asked["format"], readable=readable), asked["format"])
        graph = graph_json(reached, readable=readable)
        if asked["stale"]:
            _mark_stale(graph["nodes"])
        return Response({"direction": asked["direction"], **graph})


def _mark_stale(nodes: list[dict[str, Any]]) -> None:
    """Of those that may be read; one query."""
    shown = [node for node in nodes if not node["hidden"]]
    stale = stale_among(node["id"] for node in shown)
    for node in shown:
        node["stale"] = node["id"] in stale


def text_response(text: str, form: str) -> HttpResponse:
    return HttpResponse(text, content_type=CONTENT_TYPES[form])


class RelativeFilters(Body):
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MAX_NODES, default=DEFAULT_NODES)


class RelativesOut(serializers.Serializer[Any]):
    results = NodeOut(many=True)
    truncated = serializers.BooleanField()


class TrainedOnView(ApiView):
    @extend_schema(parameters=[RelativeFilters], responses=RelativesOut, tags=TAGS)
    def get(self, request: Request, version_id: int) -> Response:
        """What the version was trained on: every dataset in its ancestry, nearest first."""
        limit = read_query(RelativeFilters, request)["limit"]
        user = user_of(request)
        found = trained_on(access_version_id(user, version_id).pk)
        return Response(_relatives(found, access.reader(user), limit))


class FeedsView(ApiView):
    @extend_schema(parameters=[RelativeFilters], responses=RelativesOut, tags=TAGS)
    def get(self, request: Request, version_id: int) -> Response:
        """What the version feeds: everything that was made of it, nearest first."""
        limit = read_query(RelativeFilters, request)["limit"]
        user = user_of(request)
        found = impact(access_version_id(user, version_id).pk, limit=limit + 2).relatives()  # itself, and one too many
        return Response(_relatives(found, access.reader(user), limit))


def _relatives(found: list[tuple[Any, int]], readable: Readable, limit: int) -> dict[str, Any]:
    shown = [{**node_json(one, readable=readable), "depth": depth} for one, depth in found[:limit]]
    return {"results": shown, "truncated": len(found) > limit}


class StaleReason(serializers.Serializer[Any]):
    used = NodeOut()
    newer = NodeOut(help_text="published since, with the same partitions")
    depth = serializers.IntegerField(help_text="1: used directly")


class StalenessOut(serializers.Serializer[Any]):
    stale = serializers.BooleanField()
    reasons = StaleReason(many=True)


class StalenessView(ApiView):
    @extend_schema(responses=StalenessOut, tags=TAGS)
    def get(self, request: Request, version_id: int) -> Response:
        """Whether something that the version was made of, however far back, has been published anew, and what."""
        user = user_of(request)
        readable = access.reader(user)
        found = staleness(access_version_id(user, version_id).pk)
        reasons = [
            {
                "used": node_json(one.used, readable=readable),
                "newer": node_json(one.newer, readable=readable),
                "depth": one.depth,
            }
            for one in found[:DEFAULT_NODES]
        ]
        return Response({"stale": bool(found), "reasons": reasons})


class ScopeQuery(Body):
    project = serializers.CharField(required=False)
    domain = serializers.CharField(required=False)
    name = serializers.CharField(required=False, help_text="one artifact; then project and domain are needed")


class StaleFilters(ScopeQuery):
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1000, default=200)


class StaleOut(serializers.Serializer[Any]):
    version = NodeOut()
    used = NodeOut()
    newer = NodeOut()


class StaleListOut(serializers.Serializer[Any]):
    results = StaleOut(many=True)
    truncated = serializers.BooleanField()


class StaleView(ApiView):
    @extend_schema(parameters=[StaleFilters], responses=StaleListOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """Which versions are stale, and why: of the newest of each partition, those made of something outdated."""
        asked = read_query(StaleFilters, request)
        limit = asked.pop("limit")
        user = user_of(request)
        rows = stale_versions(artifacts_in(user, asked), limit=limit + 1)
        nodes = nodes_of({version.pk for row in rows for version in row})
        readable = access.reader(user)
        results = [
            {
                name: node_json(nodes[version.pk], readable=readable)
                for name, version in zip(row._fields, row, strict=True)
            }
            for row in rows[:limit]
        ]
        return Response({"results": results, "truncated": len(rows) > limit})


def artifacts_in(user: User, asked: dict[str, str]) -> list[Artifact]:
    """The artifacts of the query's project, domain and name that the user may read; the youngest MAX_ARTIFACTS."""
    rows = Artifact.objects.filter(access.readable(user), **asked)
    return list(rows.order_by("-pk")[: MAX_ARTIFACTS + 1])


class CompareOut(serializers.Serializer[Any]):
    first = NodeOut()
    second = NodeOut()
    ancestry = serializers.ListField(
        child=serializers.DictField(), help_text="by artifact: versions that only the first, or the second, descends of"
    )
    differences = serializers.DictField(help_text="metadata, metrics, partitions, value, ...: name to [first, second]")
    card = serializers.ListField(child=serializers.CharField(), help_text="unified diff of the cards")


class CompareView(ApiView):
    @extend_schema(responses=CompareOut, tags=TAGS)
    def get(self, request: Request, version_id: int, other_id: int) -> Response:
        """What is different between two versions: their ancestries and what is known of them."""
        user = user_of(request)
        first, second = access_version_id(user, version_id), access_version_id(user, other_id)
        found = compare_versions(first, second)
        readable = access.reader(user)
        nodes = nodes_of([first.pk, second.pk])
        return Response(
            {
                "first": node_json(nodes[first.pk], readable=readable),
                "second": node_json(nodes[second.pk], readable=readable),
                "ancestry": [
                    {
                        "artifact": change.artifact if _any_readable(change, readable) else None,
                        "only_first": [node_json(one, readable=readable) for one in change.only_first[:DEFAULT_NODES]],
                        "only_second": [
                            node_json(one, readable=readable) for one in change.only_second[:DEFAULT_NODES]
                        ],
                    }
                    for change in found.ancestry
                ],
                "differences": found.differences,
                "card": found.card,
            }
        )


def _any_readable(change: Any, readable: Readable) -> bool:
    return any(readable(one.project, one.domain) for one in [*change.only_first, *change.only_second])


class MapFilters(ScopeQuery):
    format = serializers.ChoiceField(choices=NAME_FORMATS, required=False, default="json")


class MapOut(serializers.Serializer[Any]):
    artifacts = serializers.ListField(child=serializers.DictField())
    edges = serializers.ListField(child=serializers.DictField(), help_text="source, target, producer, versions")
    truncated = serializers.BooleanField()


class MapView(ApiView):
    @extend_schema(parameters=[MapFilters], responses={200: MapOut, **_TEXTS}, tags=TAGS)
    def get(self, request: Request) -> HttpResponse:
        """Which artifacts are made of which, over their recent versions: of one artifact, a project, or all."""
        asked = read_query(MapFilters, request)
        form = asked.pop("format")
        user = user_of(request)
        if {"project", "domain", "name"} <= asked.keys():
            graph = name_graph(access_artifact(user, asked["project"], asked["domain"], asked["name"]))
        else:
            graph = name_graph_of(one.pk for one in artifacts_in(user, asked))
        readable = access.reader(user)
        if form != "json":
            return text_response(names_text(graph, form, readable=readable), form)
        return Response(names_json(graph, readable=readable))
