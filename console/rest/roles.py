"""Role bindings, for those who administer a project or the platform."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import NotFound
from audit.models import AuditEvent
from console.accounts import access, roles
from console.accounts.access import Action
from console.accounts.models import Role, RoleBinding
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of


class Binding(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    user = serializers.CharField(source="user.username")
    role = serializers.ChoiceField(choices=Role.choices)
    project = serializers.CharField(help_text="empty: every project")
    domain = serializers.CharField(help_text="empty: every domain")
    created_at = serializers.DateTimeField()


class BindingBody(Body):
    user = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    project = serializers.CharField(required=False, allow_blank=True, default="")
    domain = serializers.CharField(required=False, allow_blank=True, default="")


class BindingFilters(ScopeFilters):
    user = serializers.CharField(required=False)


class BindingsView(ListView):
    @extend_schema(parameters=[BindingFilters], responses=Binding(many=True), tags=["roles"])
    def get(self, request: Request) -> Response:
        """The bindings of the scopes I administer."""
        filters = read_query(BindingFilters, request)
        if "user" in filters:
            filters["user__username"] = filters.pop("user")
        rows = RoleBinding.objects.select_related("user").filter(
            access.readable(user_of(request), action=Action.ADMIN), **filters
        )
        return self.page(request, rows, Binding)

    @extend_schema(request=BindingBody, responses={201: Binding}, tags=["roles"])
    def post(self, request: Request) -> Response:
        """Give a user a role."""
        body = read_body(BindingBody, request)
        binding = roles.bind(
            body["user"], Role(body["role"]), project=body["project"], domain=body["domain"], actor=user_of(request)
        )
        return Response(Binding(binding).data, status=201)


class BindingView(ApiView):
    @extend_schema(responses={204: None}, tags=["roles"])
    def delete(self, request: Request, binding_id: int) -> Response:
        """Take a role away."""
        user = user_of(request)
        mine = access.readable(user, action=Action.ADMIN)
        binding = RoleBinding.objects.select_related("user").filter(mine, pk=binding_id).first()
        if binding is None:
            raise NotFound(f"no role binding {binding_id}")
        roles.unbind(binding, actor=user)
        return Response(status=204)


class Audit(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    verb = serializers.CharField()
    project = serializers.CharField()
    domain = serializers.CharField()
    subject = serializers.CharField()
    detail = serializers.DictField()


class AuditFilters(ScopeFilters):
    actor = serializers.CharField(required=False)
    verb = serializers.CharField(required=False)


class AuditView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[AuditFilters], responses=Audit(many=True), tags=["roles"])
    def get(self, request: Request) -> Response:
        """What was done through the doors, in the scopes I administer."""
        filters = read_query(AuditFilters, request)
        rows = AuditEvent.objects.filter(access.readable(user_of(request), action=Action.ADMIN), **filters)
        return self.page(request, rows, Audit)
