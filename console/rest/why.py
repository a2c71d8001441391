"""Why something is as it is: every decision that led to a version or an execution, with its proof."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_execution, access_version, access_version_id
from console.accounts import access
from console.rest.base import ApiView, user_of
from scheduler.reasons import Why, why_execution, why_version

TAGS = ["why"]


class ProofOut(serializers.Serializer[Any]):
    table = serializers.CharField()
    row = serializers.IntegerField(help_text="its id")


class ReasonOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    actor = serializers.CharField(help_text="who, or `system:...` by which rule of Causeway's")
    automatic = serializers.BooleanField(source="is_automatic")
    verb = serializers.CharField()
    words = serializers.CharField()
    reason = serializers.CharField()
    project = serializers.CharField()
    domain = serializers.CharField()
    proof = serializers.SerializerMethodField()
    version = serializers.IntegerField(allow_null=True, help_text="its id")
    execution = serializers.CharField(help_text="project/domain/name; empty: none")
    decision = serializers.IntegerField(allow_null=True, help_text="whose evidence there is")

    def get_proof(self, step: Any) -> dict[str, Any]:
        return {"table": step.table, "row": step.row}


class ReasonsOut(serializers.Serializer[Any]):
    steps = ReasonOut(many=True, help_text="in order, the oldest first")
    hidden = serializers.IntegerField(help_text="steps where you may not read")
    truncated = serializers.BooleanField(help_text="there are more ancestors than were looked at")


def shown(why: Why) -> Response:
    return Response(ReasonsOut(why).data)


class VersionWhyView(ApiView):
    @extend_schema(responses=ReasonsOut, tags=TAGS, operation_id="versions_why")
    def get(self, request: Request, version_id: int) -> Response:
        """Every automatic and human decision that led to the version, and those about it since."""
        user = user_of(request)
        version = access_version_id(user, version_id)
        return shown(why_version(version, may_read=access.reader(user)))


class NamedVersionWhyView(ApiView):
    @extend_schema(responses=ReasonsOut, tags=TAGS, operation_id="versions_why_by_name")
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """The same, of a version by its name, by `latest`, or by an alias: why it is what is deployed."""
        user = user_of(request)
        row = access_version(user, project, domain, name, version)
        return shown(why_version(row, may_read=access.reader(user)))


class ExecutionWhyView(ApiView):
    @extend_schema(responses=ReasonsOut, tags=TAGS, operation_id="executions_why")
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """Every decision that led to the execution (a deployment, a prediction), and to what it took in."""
        user = user_of(request)
        execution = access_execution(user, project, domain, name)
        return shown(why_execution(execution, may_read=access.reader(user)))
