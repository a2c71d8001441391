"""Service accounts of a project, for its admins: made, given tokens, closed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_project
from console.accounts import service_accounts
from console.accounts.access import Action
from console.accounts.models import Role
from console.rest.base import ApiView, Body, Filters, ListView, read_body, read_query, user_of
from console.rest.identity import NewToken, Token

TAGS = ["roles"]


class Account(serializers.Serializer[Any]):
    name = serializers.CharField(source="username")
    project = serializers.CharField(source="service_of")
    is_open = serializers.BooleanField(source="is_active")
    created_at = serializers.DateTimeField(source="date_joined")


class AccountBody(Body):
    name = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices)
    domain = serializers.CharField(required=False, allow_blank=True, default="", help_text="left out: every domain")


class AccountTokenBody(Body):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="left out: never")


class AccountsView(ListView):
    newest_by = "date_joined"

    @extend_schema(responses=Account(many=True), tags=TAGS)
    def get(self, request: Request, project: str) -> Response:
        """The service accounts of a project that I administer."""
        read_query(Filters, request)
        access_project(user_of(request), project, action=Action.ADMIN)
        return self.page(request, service_accounts.of(project).order_by(), Account)

    @extend_schema(request=AccountBody, responses={201: Account}, tags=TAGS)
    def post(self, request: Request, project: str) -> Response:
        """Make one, with a role in the project. It needs a token next."""
        user = user_of(request)
        access_project(user, project, action=Action.ADMIN)
        body = read_body(AccountBody, request)
        made = service_accounts.make(
            body["name"], Role(body["role"]), project=project, domain=body["domain"], actor=user
        )
        return Response(Account(made).data, status=201)


class AccountView(ApiView):
    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, name: str) -> Response:
        """Close one: its tokens are revoked, what it did keeps its name."""
        user = user_of(request)
        access_project(user, project, action=Action.ADMIN)
        service_accounts.close(service_accounts.found(project, name), actor=user)
        return Response(status=204)


class AccountTokensView(ApiView):
    @extend_schema(request=AccountTokenBody, responses={201: NewToken}, tags=TAGS)
    def post(self, request: Request, project: str, name: str) -> Response:
        """Make a token of it, for its project. Its secret is in this answer and nowhere else."""
        user = user_of(request)
        access_project(user, project, action=Action.ADMIN)
        body = read_body(AccountTokenBody, request)
        token, secret = service_accounts.give_token(
            service_accounts.found(project, name), body["name"], body["expires_at"], actor=user
        )
        return Response({**Token(token).data, "secret": secret}, status=201)
