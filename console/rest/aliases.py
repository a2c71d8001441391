"""Aliases: movable names of versions, with their history."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.actions.aliases import ANYWHERE, NOWHERE, drop_alias, move_alias
from artifacts.models import Alias, AliasMove, Artifact
from artifacts.queries import check_keys
from artifacts.wanted import Wanted
from console.access_objects import access_artifact, access_version
from console.accounts.access import Action
from console.governance import mover_of
from console.rest.artifacts import TAGS, AliasOut
from console.rest.base import ApiView, Body, ListView, read_body, read_query, user_of
from console.rest.versions import PARTITION_PARAMETER, PartitionFilters, partition_filters

HEAVY = ("literal", "literal_type", "card", "terms")
Pointing = TypeVar("Pointing", Alias, AliasMove)


class AliasBody(Body):
    version = serializers.CharField(help_text="a version, or another alias")
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    expected = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="409 unless the alias is at this version now; null: at none",
    )
    force = serializers.BooleanField(
        required=False, default=False, help_text="against its policy, with the role that this takes and a reason"
    )


class DropFilters(PartitionFilters):
    paged = False
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)
    force = serializers.BooleanField(required=False, default=False, help_text="against its policy")


class AliasFilters(PartitionFilters):
    alias = serializers.CharField(required=False, help_text="of this name alone")


class AliasesView(ListView):
    newest_by = "moved_at"

    @extend_schema(parameters=[AliasFilters, PARTITION_PARAMETER], responses=AliasOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """What the artifact's aliases name, those moved last first; with partitions, their pointers for these."""
        asked = read_query(AliasFilters, request)
        artifact = access_artifact(user_of(request), project, domain, name)
        rows = artifact.aliases.select_related("version").defer(*(f"version__{column}" for column in HEAVY))
        if "alias" in asked:
            rows = rows.filter(name=asked["alias"])
        return self.page(request, _of_partitions(request, artifact, rows), AliasOut)


def _of_partitions(request: Request, artifact: Artifact, rows: QuerySet[Pointing]) -> QuerySet[Pointing]:
    """Those of the pointers, or of their moves, that are for the partition values asked for."""
    partitions = partition_filters(request)
    check_keys(artifact, Wanted(*artifact.key, partitions=partitions))
    return rows.filter(partitions__contains=partitions) if partitions else rows


class AliasView(ApiView):
    @extend_schema(request=AliasBody, responses=AliasOut, tags=TAGS)
    def put(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Point an alias at a version, from wherever it was; 409 says which clauses of its policy do not hold."""
        user = user_of(request)
        body = read_body(AliasBody, request)
        version = access_version(user, project, domain, name, body["version"], action=Action.DECIDE)
        expected = body["expected"] or NOWHERE if "expected" in body else ANYWHERE
        mover = mover_of(user, version.artifact, force=body["force"])
        row = move_alias(version, alias, actor=user.username, reason=body["reason"], expected=expected, mover=mover)
        return Response(AliasOut(row).data)

    @extend_schema(parameters=[DropFilters, PARTITION_PARAMETER], responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Remove an alias, or the pointer of these partitions where it is kept per partition; its history stays."""
        user = user_of(request)
        artifact = access_artifact(user, project, domain, name, action=Action.DECIDE)
        asked = read_query(DropFilters, request)
        mover = mover_of(user, artifact, force=asked["force"])
        partitions = partition_filters(request)
        drop_alias(artifact, alias, actor=user.username, reason=asked["reason"], mover=mover, partitions=partitions)
        return Response(status=204)


class AliasMoveOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    partitions = serializers.DictField(help_text="of the pointer that moved; empty: the alias is kept for all")
    from_version = serializers.CharField(source="from_version.version", default=None, allow_null=True)
    to_version = serializers.CharField(source="to_version.version", default=None, allow_null=True)
    actor = serializers.CharField()
    reason = serializers.CharField()
    forced = serializers.BooleanField(help_text="against its policy")
    evidence = serializers.DictField(help_text="the policy as it was, and what of it held; empty: none governed it")


class AliasMovesView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[PARTITION_PARAMETER], responses=AliasMoveOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, alias: str) -> Response:
        """Where an alias has been; with partitions, its pointers for these."""
        read_query(PartitionFilters, request)
        artifact = access_artifact(user_of(request), project, domain, name)
        rows = AliasMove.objects.filter(artifact=artifact, name=alias).select_related("from_version", "to_version")
        rows = rows.defer("from_version__literal", "to_version__literal")
        return self.page(request, _of_partitions(request, artifact, rows), AliasMoveOut)
