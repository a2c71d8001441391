"""Tasks and workflows as registered. Registering is flytekit's, over gRPC."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from flyteidl.admin import task_pb2
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.literals import describe_type
from console.access_objects import access_task, access_workflow
from console.accounts import access
from console.interfaces import inputs_of, outputs_of
from console.rest.base import ApiView, ListView, ScopeFilters, read_query, user_of
from console.rest.fields import EntityName
from scheduler import pods
from scheduler.models import LaunchPlan, Task, Workflow


class InputOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField(source="type_text", help_text="as a person reads it: `int`, `list[str]`, `file (csv)`")
    shape = serializers.CharField(help_text="file, directory or dataset: data to upload; empty for plain values")
    description = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # a field, not Field.required
    default = serializers.JSONField(source="default_json", allow_null=True)
    has_query = serializers.SerializerMethodField(help_text="an artifact query finds it at launch when it is not given")

    def get_has_query(self, each: Any) -> bool:
        return each.query is not None


class OutputOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()


class VersionSummary(EntityName):
    created_at = serializers.DateTimeField()


class TaskSummary(VersionSummary):
    type = serializers.CharField()
    short_description = serializers.CharField()


class WorkflowSummary(VersionSummary):
    short_description = serializers.CharField()


class Interface(serializers.Serializer[Any]):
    inputs = serializers.SerializerMethodField()
    outputs = serializers.SerializerMethodField()

    @extend_schema_field(InputOut(many=True))
    def get_inputs(self, entity: LaunchPlan | Workflow | Task) -> Any:
        return InputOut(inputs_of(entity).values(), many=True).data

    @extend_schema_field(OutputOut(many=True))
    def get_outputs(self, entity: LaunchPlan | Workflow | Task) -> Any:
        outputs = [{"name": name, "type": describe_type(each)} for name, each in outputs_of(entity).items()]
        return OutputOut(outputs, many=True).data


class TaskDetail(TaskSummary, Interface):
    image = serializers.SerializerMethodField()

    def get_image(self, task: Task) -> str:
        template = task_pb2.TaskClosure.FromString(bytes(task.closure)).compiled_task.template
        return pods.described(template).image


class WorkflowDetail(WorkflowSummary, Interface):
    pass


class VersionFilters(ScopeFilters):
    name = serializers.CharField(required=False)
    version = serializers.CharField(required=False)


def visible(request: Request, rows: QuerySet[Any], filters: dict[str, Any]) -> QuerySet[Any]:
    """The rows the user may read, without their large columns."""
    return rows.filter(access.readable(user_of(request)), **filters).defer("spec", "closure", "digest")


class TasksView(ListView):
    @extend_schema(parameters=[VersionFilters], responses=TaskSummary(many=True), tags=["registry"])
    def get(self, request: Request) -> Response:
        """Versions of tasks, newest first."""
        return self.page(
            request, visible(request, Task.objects.all(), read_query(VersionFilters, request)), TaskSummary
        )


class TaskView(ApiView):
    @extend_schema(responses=TaskDetail, tags=["registry"], operation_id="tasks_newest")
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The newest version of a task."""
        return Response(TaskDetail(access_task(user_of(request), project, domain, name)).data)


class TaskVersionView(ApiView):
    @extend_schema(responses=TaskDetail, tags=["registry"])
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """One version of a task."""
        return Response(TaskDetail(access_task(user_of(request), project, domain, name, version)).data)


class WorkflowsView(ListView):
    @extend_schema(parameters=[VersionFilters], responses=WorkflowSummary(many=True), tags=["registry"])
    def get(self, request: Request) -> Response:
        """Versions of workflows, newest first."""
        rows = visible(request, Workflow.objects.all(), read_query(VersionFilters, request))
        return self.page(request, rows, WorkflowSummary)


class WorkflowView(ApiView):
    @extend_schema(responses=WorkflowDetail, tags=["registry"], operation_id="workflows_newest")
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The newest version of a workflow."""
        return Response(WorkflowDetail(access_workflow(user_of(request), project, domain, name)).data)


class WorkflowVersionView(ApiView):
    @extend_schema(responses=WorkflowDetail, tags=["registry"])
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """One version of a workflow."""
        return Response(WorkflowDetail(access_workflow(user_of(request), project, domain, name, version)).data)
