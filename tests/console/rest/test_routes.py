from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path, resolve
from django.urls.resolvers import URLPattern

from console.names_in_paths import by_first_segment
from console.rest.urls import v1

VALUES = {"str": "some", "word": "word", "name": "a name", "int": "7"}


def address(route: URLPattern) -> str:
    parts = str(route.pattern).split("/")
    return "/".join(VALUES[part[1:].partition(":")[0]] if part.startswith("<") else part for part in parts)


def test_every_address_leads_where_the_first_route_does_that_takes_it() -> None:
    for route in v1:
        first = next(found for each in v1 if (found := each.resolve(address(route))))
        found = resolve(f"/api/v1/{address(route)}")
        assert (found.func, found.kwargs, found.url_name) == (first.func, first.kwargs, first.url_name)


def test_routes_are_gathered_by_how_they_begin() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    routes = [path("a", view, name="a"), path("a/<int:n>", view, name="b"), path("b/c", view), path("a/x", view)]
    assert [str(each.pattern) for each in by_first_segment(routes)] == ["a/", "b/", "a"]
