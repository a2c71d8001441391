"""Artifacts by name: list, details, which version a query means, aliases."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.models import Artifact, ArtifactVersion, Granularity, Kind
from artifacts.queries import find, newest_first
from artifacts.wanted import Wanted
from artifacts.wire import PASSED
from console.access_objects import access_artifact
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, ListView, ScopeFilters, read_query, user_of
from console.rest.fields import NameOf
from console.rest.versions import TimeFilters, VersionSummary, partition_filters

TAGS = ["artifacts"]
ALIASES_SHOWN = 100  # pointers, of one artifact; the list of them has all


@extend_schema_field({"type": "string", "enum": Granularity.names})
class GranularityField(NameOf):
    choices = Granularity


class ArtifactSummary(serializers.Serializer[Any]):
    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    description = serializers.CharField()
    partition_keys = serializers.ListField(child=serializers.CharField())
    granularity = GranularityField(read_only=True, help_text="of the time partition; UNSET: not time partitioned")
    created_at = serializers.DateTimeField()
    newest_version = serializers.CharField(allow_null=True)
    newest_at = serializers.DateTimeField(allow_null=True)


class AliasOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    partitions = serializers.DictField(help_text="of the versions that it is for; empty: it is kept for all")
    version = serializers.CharField(source="version.version")
    version_id = serializers.IntegerField()
    moved_at = serializers.DateTimeField()


class ArtifactDetail(ArtifactSummary):
    aliases = AliasOut(many=True, source="first_aliases", help_text=f"at most {ALIASES_SHOWN}, by name")
    alias_count = serializers.IntegerField(help_text="pointers in all: an alias may be kept per partition")
    aliases_url = serializers.URLField(help_text="lists all of them, a page at a time")


def with_newest(rows: Any) -> Any:
    """Each artifact with what its newest version is called and since when it exists: two index look-ups a row."""
    newest = newest_first(ArtifactVersion.objects.filter(artifact=OuterRef("pk")))
    return rows.annotate(
        newest_version=Subquery(newest.values("version")[:1]), newest_at=Subquery(newest.values("created_at")[:1])
    )


class ArtifactFilters(ScopeFilters):
    q = serializers.CharField(required=False, help_text="words that the name or description must contain")
    name = serializers.CharField(required=False)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)


class ArtifactsView(ListView):
    @extend_schema(parameters=[ArtifactFilters], responses=ArtifactSummary(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Artifacts, the latest made first."""
        filters = read_query(ArtifactFilters, request)
        wanted = Q()
        for word in filters.pop("q", "").split():
            wanted &= Q(name__icontains=word) | Q(description__icontains=word)
        rows = Artifact.objects.filter(access.readable(user_of(request)), wanted, **filters)
        return self.page(request, with_newest(rows), ArtifactSummary)


class ArtifactView(ApiView):
    @extend_schema(responses=ArtifactDetail, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """One artifact with the first of its aliases."""
        artifact = access_artifact(user_of(request), project, domain, name)
        row = with_newest(Artifact.objects.filter(pk=artifact.pk)).get()
        aliases = artifact.aliases.select_related("version").defer("version__literal")
        row.first_aliases = list(aliases.order_by("name", "partitions", "pk")[:ALIASES_SHOWN])
        row.alias_count = len(row.first_aliases)
        if row.alias_count == ALIASES_SHOWN:
            row.alias_count = artifact.aliases.count()
        row.aliases_url = request.build_absolute_uri(reverse("rest:aliases", args=artifact.key))
        return Response(ArtifactDetail(row).data)


class ResolveFilters(TimeFilters):
    paged = False
    version = serializers.CharField(required=False, default="")
    alias = serializers.CharField(required=False, default="")
    created_before = serializers.DateTimeField(required=False, default=None, help_text="the newest as of then")
    checks = serializers.ChoiceField(choices=[PASSED], required=False, default="", help_text="no check blocks it")
    quarantined = serializers.BooleanField(required=False, default=False, help_text="quarantined ones too")


class Resolved(serializers.Serializer[Any]):
    explanation = serializers.CharField(help_text="why this one")
    version = VersionSummary()


class ResolveView(ApiView):
    @extend_schema(parameters=[ResolveFilters], responses=Resolved, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The newest version that a query means; 404 says what exists instead. `partition.<key>=<value>` narrows it."""
        asked = read_query(ResolveFilters, request)
        access.require_found(user_of(request), Action.READ, project, domain, what=f"artifact {project}/{domain}/{name}")
        passed = bool(asked.pop("checks"))
        wanted = Wanted(project, domain, name, passed=passed, partitions=partition_filters(request), **asked)
        found = find(wanted, may_read=access.may_read(user_of(request)))
        return Response(Resolved({"explanation": found.explanation, "version": found.version}).data)
