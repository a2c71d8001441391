from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver


def test_the_schema_is_valid_and_complete(tmp_path: Path) -> None:
    file = tmp_path / "schema.yml"
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(file))
    assert "/api/v1/executions/{project}/{domain}/{name}/abort" in file.read_text()


def test_the_schema_is_open_to_everybody(db: None, client: Client) -> None:
    response = client.get("/api/v1/schema")
    assert response.status_code == 200
    assert b"problem+json" in response.content


def test_the_docs_page_names_every_operation(browser: Callable[[str], Client], client: Client) -> None:
    assert client.get("/api/v1/docs").status_code == 302
    page = browser("vic").get("/api/v1/docs").content.decode()
    assert "/api/v1/gates/{gate_id}/decide" in page
    assert "Approve or reject" in page


def _routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for each in patterns:
        route = prefix + str(each.pattern)
        found += _routes(each.url_patterns, route) if isinstance(each, URLResolver) else [(route, each)]
    return found


OPEN = {"api/v1/schema", "api/v1/docs", "api/", "api/v1/<path:rest>"}


@pytest.mark.django_db
def test_every_route_asks_for_a_token() -> None:
    routes = [(route, each) for route, each in _routes(get_resolver().url_patterns) if route.startswith("api/")]
    assert len(routes) > 40
    for route, _pattern in routes:
        if route in OPEN:
            continue
        path = "/" + route.replace("<int:", "<").replace("<str:", "<").replace("<name:", "<")
        while "<" in path:
            path = path[: path.index("<")] + "1" + path[path.index(">") + 1 :]
        for method in ("get", "post", "put", "patch", "delete"):
            status = getattr(Client(), method)(path).status_code
            assert status in (401, 405), (method, path, status)
