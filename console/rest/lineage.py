"""Lineage one hop around a version. What the user may not read is counted, not named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.models import ArtifactVersion
from console.access_objects import access_version
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, user_of
from lineage.queries import Step, latest_reads, one_hop

Readable = Callable[[str, str], bool]


class VersionRef(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField(source="artifact.project")
    domain = serializers.CharField(source="artifact.domain")
    name = serializers.CharField(source="artifact.name")
    version = serializers.CharField()


class StepOut(serializers.Serializer[Any]):
    execution = serializers.CharField(allow_null=True, help_text="project/domain/name; null: you may not read it")
    via = serializers.ListField(child=serializers.CharField(), help_text="how the version was consumed or produced")
    versions = VersionRef(many=True)
    hidden = serializers.IntegerField(help_text="versions you may not read")


class ReadOut(serializers.Serializer[Any]):
    by = serializers.CharField()
    times = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class Hop(serializers.Serializer[Any]):
    producers = StepOut(many=True, help_text="who made it, with the versions they consumed")
    consumers = StepOut(many=True, help_text="who consumed it, with the versions they made")
    same_data_as = VersionRef(allow_null=True, help_text="the version whose data this is under another name")
    republished = VersionRef(many=True)
    reads = ReadOut(many=True, help_text="who queried its data by SQL, the latest first")
    truncated = serializers.BooleanField(help_text="there is more than is shown")


class LineageView(ApiView):
    @extend_schema(responses=Hop, tags=["artifacts"])
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """One hop: what the version was made of, and what was made of it."""
        user = user_of(request)
        row = access_version(user, project, domain, name, version)
        hop = one_hop(row)

        def readable(project: str, domain: str) -> bool:
            return access.can(user, Action.READ, project, domain)

        original = hop.same_data_as
        body = {
            "producers": [_step(step, readable) for step in hop.producers],
            "consumers": [_step(step, readable) for step in hop.consumers],
            "same_data_as": original if original is not None and readable(*original.artifact.key[:2]) else None,
            "republished": _known(hop.republished, readable),
            "reads": latest_reads(row),
            "truncated": hop.truncated,
        }
        return Response(Hop(body).data)


def _step(step: Step, readable: Readable) -> dict[str, Any]:
    project, domain, _name = step.execution_key.split("/", 2)
    known = _known(step.others, readable)
    return {
        "execution": step.execution_key if readable(project, domain) else None,
        "via": sorted({edge.via for edge in step.edges}),
        "versions": known,
        "hidden": len(step.others) - len(known),
    }


def _known(versions: Iterable[ArtifactVersion], readable: Readable) -> list[ArtifactVersion]:
    return [version for version in versions if readable(*version.artifact.key[:2])]
