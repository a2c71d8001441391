"""Who am I, and my tokens."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_token
from console.accounts import tokens
from console.accounts.models import ApiToken
from console.accounts.scopes import SCOPES
from console.rest.base import ApiView, Body, Filters, ListView, read_body, read_query, user_of


class BindingSummary(serializers.Serializer[Any]):
    project = serializers.CharField(help_text="empty: every project")
    domain = serializers.CharField(help_text="empty: every domain")
    role = serializers.CharField()


class Me(serializers.Serializer[Any]):
    username = serializers.CharField()
    email = serializers.CharField(help_text="empty where none is known")
    is_superuser = serializers.BooleanField()
    roles = BindingSummary(many=True, source="role_bindings.all")


class MeView(ApiView):
    @extend_schema(responses=Me, tags=["identity"])
    def get(self, request: Request) -> Response:
        """The user this request acts as."""
        return Response(Me(user_of(request)).data)


class Token(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(), help_text="empty: whatever its user may do")
    project = serializers.CharField(help_text="empty: wherever its user may")
    made_with = serializers.IntegerField(source="parent_id", allow_null=True, help_text="the token it was made with")


class NewToken(Token):
    secret = serializers.CharField(help_text="shown this once")


class TokenBody(Body):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="left out: as the token it is made with, else never",
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(SCOPES)),
        required=False,
        default=list,
        help_text="left out: those of the token it is made with, else all",
    )
    project = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)


class TokensView(ListView):
    @extend_schema(responses=Token(many=True), tags=["identity"])
    def get(self, request: Request) -> Response:
        """My tokens, newest first; never their secrets. Those of programs that I logged in are not among them."""
        read_query(Filters, request)
        return self.page(request, ApiToken.objects.filter(user=user_of(request), sign_in=None), Token)

    @extend_schema(request=TokenBody, responses={201: NewToken}, tags=["identity"])
    def post(self, request: Request) -> Response:
        """Make a token. Its secret is in this answer and nowhere else."""
        token, secret = tokens.create(user_of(request), **read_body(TokenBody, request))
        return Response({**Token(token).data, "secret": secret}, status=201)


class TokenView(ApiView):
    @extend_schema(responses={204: None}, tags=["identity"])
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke one of my tokens, and those that were made with it."""
        user = user_of(request)
        tokens.revoke_own(access_token(user, token_id), user=user)
        return Response(status=204)
