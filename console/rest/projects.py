from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_project
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, ListView, read_body, read_query, user_of
from console.rest.fields import NameOf
from scheduler.actions.projects import create_project, update_project
from scheduler.models import Project


@extend_schema_field({"type": "string", "enum": Project.State.names})
class StateField(NameOf):
    choices = Project.State


class ProjectOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="identifier")
    name = serializers.CharField()
    description = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    state = StateField(read_only=True)
    domains = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_domains(self, project: Project) -> list[str]:
        user = self.context["request"].user
        return [each for each in settings.CAUSEWAY_DOMAINS if access.can(user, Action.READ, project.identifier, each)]


class ProjectBody(Body):
    id = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(required=False, allow_blank=True, default="")
    labels = serializers.DictField(child=serializers.CharField(), required=False, default=dict)


class ProjectChange(Body):
    name = serializers.CharField(max_length=255, required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    labels = serializers.DictField(child=serializers.CharField(), required=False)
    state = StateField(required=False)


class ProjectsView(ListView):
    @extend_schema(responses=ProjectOut(many=True), tags=["projects"])
    def get(self, request: Request) -> Response:
        """The projects of which I may read at least one domain."""
        read_query(Filters, request)
        known = access.known_projects(user_of(request))
        rows = Project.objects.all() if known is None else Project.objects.filter(identifier__in=known)
        return self.page(request, rows, ProjectOut)

    @extend_schema(request=ProjectBody, responses={201: ProjectOut}, tags=["projects"])
    def post(self, request: Request) -> Response:
        """Make a project; for platform admins."""
        user = user_of(request)
        access.require(user, Action.ADMIN)
        body = read_body(ProjectBody, request)
        identifier = body.pop("id")
        project = create_project(identifier=identifier, **{"name": identifier, **body}, actor=user.username)
        return Response(ProjectOut(project, context={"request": request}).data, status=201)


class ProjectView(ApiView):
    @extend_schema(responses=ProjectOut, tags=["projects"])
    def get(self, request: Request, project: str) -> Response:
        """One project."""
        row = access_project(user_of(request), project)
        return Response(ProjectOut(row, context={"request": request}).data)

    @extend_schema(request=ProjectChange, responses=ProjectOut, tags=["projects"])
    def patch(self, request: Request, project: str) -> Response:
        """Change what is given of its name, description, labels and state."""
        user = user_of(request)
        row = access_project(user, project, action=Action.ADMIN)
        body = read_body(ProjectChange, request)
        row = update_project(row, **body, actor=user.username)
        return Response(ProjectOut(row, context={"request": request}).data)
