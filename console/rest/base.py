"""What every view of the API shares: size limits, parsing, paging, the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from artifacts.exceptions import LengthRequired, NotFound, PayloadTooLarge
from console.accounts.models import User
from console.rest.paging import NewestFirst

JSON_BODY_LIMIT = 10 * 1024**2  # bytes; larger values belong into the object store
PAGING = {"limit", "cursor"}
M = TypeVar("M", bound=Model)
S = TypeVar("S", bound=serializers.Serializer[Any])


class ApiView(APIView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired("send the body with a Content-Length, not chunked")
        length = request.META.get("CONTENT_LENGTH") or "0"
        multipart = (request.content_type or "").startswith("multipart/")
        limit = settings.CAUSEWAY_MAX_UPLOAD_BYTES if multipart else JSON_BODY_LIMIT
        if not (length.isascii() and length.isdigit()) or int(length[:30]) > limit:
            raise PayloadTooLarge(f"the body may have {limit} bytes, this one has {length[:30]}")
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
        context_of: Callable[[list[Any]], dict[str, Any]] | None = None,
    ) -> Response:
        """`context_of`: what the serializer needs of all rows of the page."""
        paginator = self.pagination_class()
        found = paginator.paginate_queryset(rows, request, self)
        more = {**(context or {}), **(context_of(found) if context_of else {})}
        data = serializer(found, many=True, context={"request": request, **more}).data
        return paginator.get_paginated_response(data)


class Body(serializers.Serializer[Any]):
    """A request body or query string; what it does not know is refused, so that a typing error is not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields) - self.also_allowed(data)) if hasattr(data, "keys") else []
        if unknown:
            known = ", ".join(sorted(set(self.fields)))
            raise serializers.ValidationError({name: [f"unknown; known are: {known or 'none'}"] for name in unknown})
        return super().to_internal_value(data)

    def also_allowed(self, given: Iterable[str]) -> set[str]:
        return set()


class Filters(Body):
    paged = True  # whether what is answered comes in pages

    def also_allowed(self, given: Iterable[str]) -> set[str]:
        return PAGING if self.paged else set()


class ScopeFilters(Filters):
    project = serializers.CharField(required=False)
    domain = serializers.CharField(required=False)


@cache
def shared(serializer: type[S]) -> S:
    """An instance for all requests, without data of its own: making one copies every field of the class, which costs
    more than what it is made for. Not for serializers that read a context.
    """
    made = serializer()
    made.fields  # noqa: B018 - bound now, so that the threads that use it only read
    return made


def represent(serializer: type[serializers.Serializer[Any]], instance: object) -> dict[str, Any]:
    return dict(shared(serializer).to_representation(instance))


def validate(serializer: type[Body], data: Any) -> dict[str, Any]:
    """The validated members. Raises a ValidationError, which becomes a problem with `errors`."""
    if data is None:
        raise serializers.ValidationError({"non_field_errors": ["No data provided"]})
    return dict(shared(serializer).run_validation(data))


def read_body(serializer: type[Body], request: Request) -> dict[str, Any]:
    """The validated body, as `validate` gives it."""
    return validate(serializer, request.data)


def read_query(serializer: type[Body], request: Request) -> dict[str, Any]:
    return validate(serializer, request.query_params.dict())


def user_of(request: Request) -> User:
    """The authenticated user; the default permission class lets nobody else through."""
    user = request.user
    if not isinstance(user, User):  # a view that opened itself to everybody must not ask
        raise TypeError("this view is open to anonymous users")
    return user
