"""Versions of artifacts: list, search, look at, publish."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.utils.timezone import get_current_timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from flyteidl.core import literals_pb2, types_pb2
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from artifacts.addresses import address_of
from artifacts.cards import render_card
from artifacts.exceptions import NotFound
from artifacts.literals import describe_type, to_json
from artifacts.models import ArtifactVersion, CardFormat, Kind
from artifacts.partition_values import digest_of
from artifacts.partitions import truncate
from artifacts.periods import format_period
from artifacts.queries import LATEST, check_keys, newest_of
from artifacts.search import Search, in_order, read_search
from artifacts.wanted import Wanted
from console.access_objects import access_artifact, access_version, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.card_images import image_url
from console.rest.base import ApiView, Filters, ListView, ScopeFilters, read_query, represent, user_of
from console.rest.paging import read_limit
from console.rest.parsing import StrictJson
from console.rest.publishing import PublishBody, publish_from, read_publish_body
from console.rest.retention import RemoveFilters, RemoveOut, remove_by_hand
from console.sandbox import CARD, sandboxed

TAGS = ["artifacts"]
PARTITION_PREFIX = "partition."


class VersionSummary(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField(source="artifact.project")
    domain = serializers.CharField(source="artifact.domain")
    name = serializers.CharField(source="artifact.name")
    version = serializers.CharField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    partitions = serializers.DictField(child=serializers.CharField())
    time_partition = serializers.DateTimeField(allow_null=True)
    period = serializers.SerializerMethodField(help_text="the time partition at its granularity: 2026-11-26; or empty")
    uri = serializers.CharField(help_text="where the data lies; empty for a plain value")
    size_bytes = serializers.IntegerField(allow_null=True)
    content_hash = serializers.CharField(help_text="of uploads, the SHA-256; of others, what their publisher said")
    execution = serializers.CharField(source="execution_key", help_text="project/domain/name; empty: from outside")
    node_id = serializers.CharField()
    producer = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    quarantined_at = serializers.DateTimeField(allow_null=True, help_text="from when on queries pass it over")
    is_shadow = serializers.BooleanField(help_text="of a run beside production: passed over for ever")
    removed_at = serializers.DateTimeField(allow_null=True, help_text="when its data was removed; null: it is there")
    metadata = serializers.DictField(child=serializers.CharField())
    metrics = serializers.DictField(child=serializers.FloatField())

    def get_period(self, version: ArtifactVersion) -> str:
        at = version.time_partition
        return "" if at is None else format_period(at, version.artifact.granularity)


def _moment(at: datetime | None) -> str | None:
    """As DateTimeField has it."""
    return None if at is None else at.astimezone(get_current_timezone()).isoformat().replace("+00:00", "Z")


SUMMARY = (
    *("pk", "artifact__project", "artifact__domain", "artifact__name", "artifact__granularity", "version", "kind"),
    *("partitions", "time_partition", "uri", "size_bytes", "content_hash", "execution_key", "node_id", "producer"),
    *("created_by", "created_at", "quarantined_at", "is_shadow", "removed_at", "metadata", "metrics"),
)


def summaries_of(rows: QuerySet[ArtifactVersion]) -> QuerySet[ArtifactVersion, Any]:
    """The columns that `summary_of` tells: to make two models of each row first is a third of what Python does."""
    return rows.values_list(*SUMMARY, named=True)


def summary_of(row: Any) -> dict[str, Any]:
    """What VersionSummary says, written out: to ask its fields one after the other for each row takes a quarter of what
    Python does for a search.
    """
    at = row.time_partition
    return {
        "id": row.pk,
        "project": row.artifact__project,
        "domain": row.artifact__domain,
        "name": row.artifact__name,
        "version": row.version,
        "kind": row.kind,
        "partitions": row.partitions,
        "time_partition": _moment(at),
        "period": "" if at is None else format_period(at, row.artifact__granularity),
        "uri": row.uri,
        "size_bytes": row.size_bytes,
        "content_hash": row.content_hash,
        "execution": row.execution_key,
        "node_id": row.node_id,
        "producer": row.producer,
        "created_by": row.created_by,
        "created_at": _moment(row.created_at),
        "quarantined_at": _moment(row.quarantined_at),
        "is_shadow": row.is_shadow,
        "removed_at": _moment(row.removed_at),
        "metadata": {key: str(value) for key, value in row.metadata.items()},
        "metrics": {key: float(value) for key, value in row.metrics.items()},
    }


class VersionDetail(VersionSummary):
    address = serializers.SerializerMethodField(help_text="flyte:// address that always finds this version")
    type = serializers.SerializerMethodField()
    value = serializers.SerializerMethodField("read_value", help_text="the literal as JSON")
    attempt = serializers.IntegerField(allow_null=True)
    output = serializers.CharField()
    aliases = serializers.SerializerMethodField()
    card_format = serializers.ChoiceField(choices=CardFormat.choices, allow_blank=True, help_text="empty: no card")

    def get_address(self, version: ArtifactVersion) -> str:
        return address_of(version)

    def get_type(self, version: ArtifactVersion) -> str:
        return describe_type(types_pb2.LiteralType.FromString(bytes(version.literal_type)))

    def read_value(self, version: ArtifactVersion) -> Any:
        return value_of(version)

    def get_aliases(self, version: ArtifactVersion) -> list[str]:
        return sorted(alias.name for alias in version.aliases.all())


class NewVersionDetail(VersionDetail):
    """Of a version that was published this moment: nobody has named it yet."""

    def get_aliases(self, version: ArtifactVersion) -> list[str]:
        return []


def value_of(version: ArtifactVersion) -> Any:
    literal = literals_pb2.Literal.FromString(bytes(version.literal))
    return to_json(literal, types_pb2.LiteralType.FromString(bytes(version.literal_type)), exact=True)


class PartitionFilters(Filters):
    """With partitions, as `partition.<key>=<value>` (partition_filters)."""

    def also_allowed(self, given: Iterable[str]) -> set[str]:
        return super().also_allowed(given) | {key for key in given if key.startswith(PARTITION_PREFIX)}


class TimeFilters(PartitionFilters):
    time_partition = serializers.DateTimeField(required=False, default=None)
    time_from = serializers.DateTimeField(required=False, default=None, help_text="time partition at or after")
    time_before = serializers.DateTimeField(required=False, default=None, help_text="time partition before")


class VersionFilters(TimeFilters):
    alias = serializers.CharField(required=False)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    removed = serializers.BooleanField(required=False, default=False, help_text="those whose data is gone, instead")
    execution = serializers.CharField(required=False, help_text="that produced it: project/domain/name")


PARTITION_PARAMETER = OpenApiParameter(
    "partition",
    {"type": "object", "additionalProperties": {"type": "string"}},
    description="`partition.<key>=<value>`, as often as there are keys.",
)
_COLUMNS = {
    "alias": "aliases__name",
    "kind": "kind",
    "created_after": "created_at__gte",
    "created_before": "created_at__lt",
    "execution": "execution_key",
    "time_from": "time_partition__gte",
    "time_before": "time_partition__lt",
}


def partition_filters(request: Request) -> dict[str, str]:
    """The values of `partition.<key>=<value>` in the query string."""
    given = request.query_params.dict()
    return {key[len(PARTITION_PREFIX) :]: value for key, value in given.items() if key.startswith(PARTITION_PREFIX)}


class VersionsView(ListView):
    parser_classes = (StrictJson, MultiPartParser)

    @extend_schema(parameters=[VersionFilters, PARTITION_PARAMETER], responses=VersionSummary(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Versions of an artifact, newest first. `partition.<key>=<value>` narrows them, as often as there are keys."""
        filters = read_query(VersionFilters, request)
        artifact = access_artifact(user_of(request), project, domain, name)
        latest = filters.get("alias") == LATEST
        newest = newest_of(artifact) if latest else None
        filters = {**filters, "alias": None} if latest else filters
        wanted = Q(**{_COLUMNS[key]: value for key, value in filters.items() if value is not None and key in _COLUMNS})
        wanted &= Q(pk=newest.pk if newest is not None else None) if latest else Q()
        wanted &= Q(removed_at__isnull=not filters["removed"])
        if (moment := filters["time_partition"]) is not None:
            wanted &= Q(time_partition=truncate(moment, artifact.granularity))
        partitions = partition_filters(request)
        times = {key: filters[key] for key in ("time_partition", "time_from", "time_before")}
        check_keys(artifact, Wanted(project, domain, name, partitions=partitions, **times))
        if partitions:
            whole = set(partitions) == set(artifact.partition_keys)
            wanted &= Q(partition_digest=digest_of(partitions)) if whole else Q(partitions__contains=partitions)
        rows = summaries_of(ArtifactVersion.objects.filter(wanted, artifact=artifact))
        paginator = self.pagination_class()
        found = paginator.paginate_queryset(rows, request, self)
        return paginator.get_paginated_response([summary_of(row) for row in found])

    @extend_schema(
        request={"application/json": PublishBody, "multipart/form-data": OpenApiTypes.OBJECT},
        responses={201: VersionDetail, 200: VersionDetail},
        tags=TAGS,
    )
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Publish a version: a JSON `value`, a `uri` of data that lies elsewhere, or a file.

        A file is sent as multipart/form-data: `file`, and the other members as JSON in `data`. Publishing the same
        version with the same value again answers 200 with the first one; with another value it is refused with 409.
        """
        user = user_of(request)
        access.require_found(user, Action.PUBLISH, project, domain, what=f"project {project} with domain {domain}")
        body, file = read_publish_body(request)
        outcome = publish_from(body, file, project=project, domain=domain, name=name, user=user)
        detail = represent(NewVersionDetail if outcome.created else VersionDetail, outcome.version)
        return Response(detail, status=201 if outcome.created else 200)


class VersionView(ApiView):
    @extend_schema(responses=VersionDetail, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """One version, by its name, by an alias, or `latest`."""
        return Response(VersionDetail(access_version(user_of(request), project, domain, name, version)).data)

    @extend_schema(parameters=[RemoveFilters], responses={200: RemoveOut}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """Remove a version: its data goes, what it was and its lineage stay. Refused while something needs it."""
        row = access_version(user_of(request), project, domain, name, version, action=Action.ADMIN)
        return remove_by_hand(request, row)


class SearchFilters(ScopeFilters):
    q = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=2000,
        help_text="words, filters and an order: "
        "`drift -baseline region=SEA kind:model created>2026-01-01 metric.auc>0.9 alias:champion sort:metric.auc`",
    )


def read_search_of(request: Request) -> tuple[Search, QuerySet[ArtifactVersion]]:
    """The search that `q` holds, and what the user may read of the `project` and `domain` in the query string."""
    filters = read_query(SearchFilters, request)
    columns = {f"artifact__{key}": value for key, value in filters.items() if key != "q"}
    mine = access.readable(user_of(request), project="artifact__project", domain="artifact__domain")
    return read_search(filters["q"]), ArtifactVersion.objects.filter(mine, **columns)


class SearchView(ListView):
    @extend_schema(parameters=[SearchFilters], responses=VersionSummary(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Versions of every artifact that match all words and filters, newest first or as `sort:` says."""
        search, rows = read_search_of(request)
        asked = request.query_params
        keys = search.keys(rows, limit=read_limit(asked.get("limit")), cursor=asked.get("cursor", ""))
        paginator = self.pagination_class()
        if keys.cursor:
            paginator.next_url = replace_query_param(request.build_absolute_uri(), "cursor", keys.cursor)
        found = in_order(keys.ids, summaries_of(rows))
        return paginator.get_paginated_response([summary_of(row) for row in found])


class FacetOut(serializers.Serializer[Any]):
    value = serializers.CharField()
    versions = serializers.IntegerField()


class Facets(serializers.Serializer[Any]):
    kind = FacetOut(many=True)
    project = FacetOut(many=True)
    domain = FacetOut(many=True)
    name = FacetOut(many=True)
    by = FacetOut(many=True, help_text="the task or workflow that made it")
    partitions = serializers.DictField(child=FacetOut(many=True), help_text="for each partition key its values")
    counted = serializers.IntegerField(help_text="versions counted: the newest of what was found")
    more = serializers.BooleanField(help_text="whether there are others behind them")


class FacetsView(ApiView):
    @extend_schema(parameters=[SearchFilters], responses=Facets, tags=TAGS)
    def get(self, request: Request) -> Response:
        """How the newest versions found (at most 500) spread over kinds, names, producers, partitions and so on."""
        search, rows = read_search_of(request)
        found = search.facets(rows)
        keys = {label: values for label, values in found.values.items() if label.startswith(PARTITION_PREFIX)}
        shown: dict[str, Any] = {label: values for label, values in found.values.items() if label not in keys}
        shown["partitions"] = {label[len(PARTITION_PREFIX) :]: values for label, values in keys.items()}
        return Response(Facets({**shown, "counted": found.counted, "more": found.more}).data)


class VersionByIdView(ApiView):
    @extend_schema(responses=VersionDetail, tags=TAGS)
    def get(self, request: Request, version_id: int) -> Response:
        """One version by its id."""
        return Response(VersionDetail(access_version_id(user_of(request), version_id)).data)

    @extend_schema(parameters=[RemoveFilters], responses={200: RemoveOut}, tags=TAGS)
    def delete(self, request: Request, version_id: int) -> Response:
        """Remove a version by its id, as by its name."""
        return remove_by_hand(request, access_version_id(user_of(request), version_id, action=Action.ADMIN))


class CardView(ApiView):
    @extend_schema(responses={(200, "text/html"): OpenApiTypes.STR}, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> HttpResponse:
        """The card as safe HTML."""
        row = access_version(user_of(request), project, domain, name, version)
        html = render_card(row, image_url=image_url)
        if not html:
            raise NotFound(f"{row.artifact}@{row.version} has no card")
        return sandboxed(html, CARD)
