"""The OpenAPI schema and a page that lists what it says, readable without scripts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView

_METHODS = ("get", "post", "put", "patch", "delete")


class SchemaView(SpectacularAPIView):
    """Open to everybody: it says what the API can do, not what is in it."""

    permission_classes = ()
    authentication_classes = ()


def docs_page(request: HttpRequest) -> HttpResponse:
    return render(request, "rest/docs.html", {"groups": sorted(_operations().items())})


def _operations() -> dict[str, list[dict[str, Any]]]:
    """The schema's operations by tag, in the order of their paths."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in sorted(schema["paths"].items()):
        for method in _METHODS:
            if operation := item.get(method):
                found = {**operation, "path": path, "method": method.upper()}
                groups.setdefault(operation.get("tags", ["other"])[0], []).append(found)
    return groups
