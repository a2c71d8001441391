"""The OpenAPI schema and a page that lists what it says, readable without scripts."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

_METHODS = ("get", "post", "put", "patch", "delete")


class SchemaView(SpectacularAPIView):
    """Open to everybody: it says what the API can do, not what is in it."""

    permission_classes = ()
    authentication_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """It is the same until the next version of Causeway is installed: made once, since that takes a second."""
        name = self._get_filename(request, self.api_version)  # type: ignore[no-untyped-call]
        return Response(_schema(), headers={"Content-Disposition": f'inline; filename="{name}"'})


@cache
def _schema() -> dict[str, Any]:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    found: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found


PROBLEM = {
    "type": "object",
    "description": "What every error answers with (RFC 9457), as application/problem+json.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong, and what is allowed"},
        "code": {"type": "string", "description": "the gRPC status name of the same error"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
        "context": {"description": "for programs; depends on the error"},
    },
}


def add_problems(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """A hook of drf-spectacular: every operation may answer with a problem."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    answer = {
        "description": "Any error",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for item in result["paths"].values():
        for method in _METHODS:
            if method in item:
                item[method]["responses"]["default"] = answer
    return result


@login_required
def docs_page(request: HttpRequest) -> HttpResponse:
    return render(request, "rest/docs.html", {"groups": sorted(_operations().items())})


@cache
def _operations() -> dict[str, list[dict[str, Any]]]:
    """The schema's operations by tag, in the order of their paths."""
    schema = _schema()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in sorted(schema["paths"].items()):
        for method in _METHODS:
            if operation := item.get(method):
                found = {**operation, "path": path, "method": method.upper()}
                groups.setdefault(operation.get("tags", ["other"])[0], []).append(found)
    return groups
