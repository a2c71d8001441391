"""What every view of the API shares: size limits, parsing, paging, the user."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from artifacts.exceptions import NotFound, PayloadTooLarge
from console.accounts.models import User
from console.rest.paging import NewestFirst
from console.rest.problems import LengthRequired

JSON_BODY_LIMIT = 10 * 1024**2  # bytes; larger values belong into the object store
PAGING = {"limit", "cursor"}
M = TypeVar("M", bound=Model)


class ApiView(APIView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        length = request.META.get("CONTENT_LENGTH") or "0"
        multipart = (request.content_type or "").startswith("multipart/")
        limit = settings.CAUSEWAY_MAX_UPLOAD_BYTES if multipart else JSON_BODY_LIMIT
        if not length.isdigit() or int(length) > limit:
            raise PayloadTooLarge(f"the body may have {limit} bytes, this one has {length}")
        if any("\x00" in str(value) for value in kwargs.values()):
            raise NotFound("no such thing: its name holds a NUL character")


class ListView(ApiView):
    pagination_class = NewestFirst
    newest_by: ClassVar[str] = "created_at"

    def page(
        self,
        request: Request,
        rows: QuerySet[M],
        serializer: type[serializers.BaseSerializer[Any]],
        context: dict[str, Any] | None = None,
    ) -> Response:
        paginator = self.pagination_class()
        found = paginator.paginate_queryset(rows, request, self)
        data = serializer(found, many=True, context={"request": request, **(context or {})}).data
        return paginator.get_paginated_response(data)


class Body(serializers.Serializer[Any]):
    """A request body or query string; what it does not know is refused, so that a typing error is not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields) - self.also_allowed()) if hasattr(data, "keys") else []
        if unknown:
            known = ", ".join(sorted(set(self.fields)))
            raise serializers.ValidationError({name: [f"unknown; known are: {known}"] for name in unknown})
        return super().to_internal_value(data)

    def also_allowed(self) -> set[str]:
        return set()


class Filters(Body):
    def also_allowed(self) -> set[str]:
        return PAGING


class ScopeFilters(Filters):
    project = serializers.CharField(required=False)
    domain = serializers.CharField(required=False)


def read_body(serializer: type[Body], request: Request) -> dict[str, Any]:
    """The validated body. Raises a ValidationError, which becomes a problem with `errors`."""
    parsed = serializer(data=request.data)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


def read_query(serializer: type[Body], request: Request) -> dict[str, Any]:
    parsed = serializer(data=request.query_params.dict())
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


def user_of(request: Request) -> User:
    """The authenticated user; the default permission class lets nobody else through."""
    user = request.user
    if not isinstance(user, User):  # a view that opened itself to everybody must not ask
        raise TypeError("this view is open to anonymous users")
    return user
