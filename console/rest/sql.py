"""SQL over the data of artifacts."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from console.datasql import run
from console.rest.base import ApiView, Body, read_body, user_of

TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
FACTS = "Causeway-Result"  # the header that says what was read and whether rows were left out


class SqlBody(Body):
    sql = serializers.CharField(
        trim_whitespace=False,
        max_length=100_000,
        help_text="one SELECT of DuckDB; `artifact('name', key := 'value')` is a table",
    )
    project = serializers.CharField(max_length=64, help_text="of artifacts that say none")
    domain = serializers.CharField(max_length=64, help_text="of artifacts that say none")
    format = serializers.ChoiceField(choices=run.FORMATS, required=False, default="json")
    rows = serializers.IntegerField(
        required=False, default=run.ROWS, help_text=f"at most so many, up to {run.MOST_ROWS}"
    )
    seconds = serializers.IntegerField(required=False, help_text="it may take; as many as the settings allow")


class SqlView(ApiView):
    @extend_schema(
        request=SqlBody,
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/vnd.apache.arrow.stream"): OpenApiTypes.BINARY,
        },
        tags=["artifacts"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Query the data of versions that you may read. The header Causeway-Result holds JSON: `rows`, `truncated`,
        `columns`, and the `versions` that were read. As JSON the answer is an array of rows, each an array.
        """
        body = read_body(SqlBody, request)
        seconds = body.get("seconds", settings.CAUSEWAY_SQL_SECONDS)
        query = run.Query(body["sql"], body["project"], body["domain"], body["format"], body["rows"], seconds)
        answer = run.run(query, user=user_of(request))
        response = FileResponse(answer.body, content_type=TYPES[query.format])
        response[FACTS] = _facts(answer)
        return response


def _facts(answer: run.Answer) -> str:
    """In a header: ASCII alone, and not without end."""
    told: dict[str, Any] = {"rows": answer.rows, "truncated": answer.truncated}
    whole = json.dumps({**told, "columns": answer.columns, "versions": answer.versions})
    return whole if len(whole) < 6000 else json.dumps(told)
