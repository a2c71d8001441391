"""Cursor paging, newest first, by (time, id): a page costs the same wherever it lies, and new rows shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime, timezone
from typing import Any

from django.db.models import Model, Q
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from artifacts.exceptions import InvalidArgument

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class NewestFirst(BasePagination):
    """Pages a queryset by the view's `newest_by` column (a not null time) and the primary key, both descending."""

    next_url: str | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        column = getattr(view, "newest_by", "created_at")
        limit = read_limit(request.query_params.get("limit"))
        if cursor := request.query_params.get("cursor"):
            at, pk = decode(cursor)
            queryset = queryset.filter(Q(**{f"{column}__lt": at}) | Q(pk__lt=pk), **{f"{column}__lte": at})
        rows: list[Model] = list(queryset.order_by(f"-{column}", "-pk")[: limit + 1])
        if len(rows) > limit:
            last = rows[limit - 1]
            url = request.build_absolute_uri()
            self.next_url = replace_query_param(url, "cursor", encode(_read(last, column), last.pk))
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next_url})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "format": "uri", "nullable": True, "description": "the next page's URL"},
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return [
            {
                "name": "limit",
                "in": "query",
                "description": f"Results a page, at most {MAX_LIMIT}.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "Where the page starts: part of the previous page's `next`.",
                "schema": {"type": "string"},
            },
        ]


def read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidArgument(f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def encode(at: datetime, pk: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), pk]).encode()).decode()


def decode(cursor: str) -> tuple[datetime, int]:
    """Raises InvalidArgument for anything `encode` did not make."""
    try:
        text, pk = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("no time zone")
        if not 0 <= int(pk) < 2**63:
            raise ValueError("no key")
        return at.astimezone(timezone.utc), int(pk)  # OverflowError at the edges of the calendar
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise InvalidArgument("cursor is not one this API gave out") from error


def _read(row: Model, column: str) -> datetime:
    value: Any = row
    for part in column.split("__"):
        value = getattr(value, part)
    return value  # type: ignore[no-any-return]
