"""Hooks: addresses that publish versions of one artifact for who signs what he sends."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import PayloadTooLarge, Unauthenticated
from console import hooks
from console.accounts import throttle
from console.accounts.models import Hook
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of

TAGS = ["artifacts"]


class HookBody(Body):
    project = serializers.CharField(max_length=64)
    domain = serializers.CharField(max_length=64)
    artifact = serializers.CharField(max_length=255)


class HookOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    url = serializers.SerializerMethodField()
    project = serializers.CharField()
    domain = serializers.CharField()
    artifact = serializers.CharField()
    created_by = serializers.CharField(source="user.username", help_text="by whose name and rights it publishes")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    former_until = serializers.DateTimeField(allow_null=True, help_text="until when the secret before is good")

    def get_url(self, hook: Hook) -> str:
        return f"{settings.CAUSEWAY_PUBLIC_URL}/hooks/{hook.key}"


class MadeHook(HookOut):
    secret = serializers.CharField(help_text="shown this once")


class HooksView(ListView):
    @extend_schema(parameters=[ScopeFilters], responses=HookOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Hooks of the places where you publish."""
        rows = hooks.visible(user_of(request)).filter(**read_query(ScopeFilters, request))
        return self.page(request, rows, HookOut)

    @extend_schema(request=HookBody, responses={201: MadeHook}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Make a hook; it publishes by your name. Its secret is in the answer, and nowhere else."""
        body = read_body(HookBody, request)
        hook, secret = hooks.make(body["project"], body["domain"], body["artifact"], actor=user_of(request))
        return Response({**HookOut(hook).data, "secret": secret}, status=201)


class HookView(ApiView):
    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, key: str) -> Response:
        """Remove a hook: its address is one that there is not."""
        user = user_of(request)
        hooks.remove(hooks.find(user, key), actor=user)
        return Response(status=204)


class RotateHookView(ApiView):
    @extend_schema(request=None, responses=MadeHook, tags=TAGS)
    def post(self, request: Request, key: str) -> Response:
        """A new secret; the one before is good for a day."""
        user = user_of(request)
        secret = hooks.rotate(hooks.find(user, key), actor=user)
        return Response({**HookOut(hooks.find(user, key)).data, "secret": secret})


class TakeView(ApiView):
    """The address itself: the signature is the whole authority."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def post(self, request: Request, key: str) -> Response:
        """Publish a version. The body is as that of a publication over REST."""
        if int(request.META.get("CONTENT_LENGTH") or "0") > hooks.MAX_BODY:
            raise PayloadTooLarge(f"the body may have {hooks.MAX_BODY} bytes: publish larger data by its uri")
        call = hooks.Call(request.headers, request._request.body)
        try:
            outcome = hooks.take(key, call)
        except Unauthenticated:
            throttle.count(throttle.TOKEN, throttle.address_of(request._request))
            raise
        if outcome is None:
            return Response({"published": None})
        version = outcome.version
        told = {"artifact": str(version.artifact), "version": version.version, "id": version.pk}
        return Response(told, status=201 if outcome.created else 200)
