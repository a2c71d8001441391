"""The logs of all nodes of an execution in one stream, and what its attempts used."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_execution
from console.log_lines import LEVELS, LINES, Asked, stream, told
from console.rest.base import ApiView, Filters, read_query, user_of
from scheduler.models import AttemptSamples

TAGS = ["executions"]
LISTED = 500


class StreamFilters(Filters):
    node = serializers.CharField(required=False, default="", max_length=500, help_text="only of this node")
    q = serializers.CharField(required=False, default="", max_length=200, help_text="text in the line")
    level = serializers.ChoiceField(required=False, default="", choices=["", *LEVELS], help_text="at least so grave")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=LINES, default=LINES)


class LogLineOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField(allow_null=True, help_text="as the line says, else as those before it")
    level = serializers.CharField(help_text="empty where nothing says one, as with print")
    node = serializers.CharField()
    attempt = serializers.IntegerField(help_text="its id")
    item = serializers.IntegerField(help_text="of a map; -1: none")
    text = serializers.CharField()


class StreamOut(serializers.Serializer[Any]):
    results = LogLineOut(many=True)
    more = serializers.BooleanField(help_text="earlier lines are left out")
    left_out = serializers.IntegerField(help_text="attempts whose logs were not looked at")


class ExecutionLogsView(ApiView):
    @extend_schema(operation_id="execution_logs", parameters=[StreamFilters], responses=StreamOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The newest lines of all logs in order of time; whole logs are those of the attempts."""
        wanted = read_query(StreamFilters, request)
        execution = access_execution(user_of(request), project, domain, name)
        found = stream(execution, Asked(wanted["node"], None, wanted["q"], wanted["level"]), limit=wanted["limit"])
        data = {"results": told(found.lines), "more": found.more, "left_out": found.left_out}
        return Response(StreamOut(data).data)


class SamplesOut(serializers.Serializer[Any]):
    node = serializers.CharField(source="attempt.node.node_id")
    attempt = serializers.IntegerField(source="attempt.attempt")
    index = serializers.IntegerField(source="attempt.index")
    asked = serializers.JSONField(source="attempt.resources")
    peak_cpu = serializers.FloatField(help_text="cores")
    peak_memory = serializers.IntegerField(help_text="bytes")
    cpu_seconds = serializers.FloatField()
    points = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True)),
        help_text="[seconds since it started, cores, bytes of memory, GPUs busy or null]",
    )


class ResourcesOut(serializers.Serializer[Any]):
    results = SamplesOut(many=True)


class ExecutionResourcesView(ApiView):
    @extend_schema(operation_id="execution_resources", responses=ResourcesOut, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """What attempts asked for and used, of those that were measured; those that used most of the cpu first."""
        read_query(Filters, request)
        execution = access_execution(user_of(request), project, domain, name)
        rows = AttemptSamples.objects.filter(attempt__execution_id=execution.pk).select_related("attempt__node")
        heavy = ("attempt__command", "attempt__error", "attempt__node__error", "attempt__node__state")
        found = rows.defer(*heavy).order_by("-cpu_seconds", "-attempt_id")[:LISTED]
        return Response(ResourcesOut({"results": found}).data)
