from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

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


OPEN = {"api/v1/schema", "api/v1/docs", "api/"}


@pytest.mark.django_db
def test_every_route_asks_for_a_token() -> None:
    routes = [(route, each) for route, each in _routes(get_resolver().url_patterns) if route.startswith("api/")]
    assert len(routes) > 40
    for route, _pattern in routes:
        if route in OPEN:
            continue
        path = "/" + route.replace("<int:", "<").replace("<str:", "<")
        while "<" in path:
            path = path[: path.index("<")] + "1" + path[path.index(">") + 1 :]
        for method in ("get", "post", "put", "patch", "delete"):
            status = getattr(Client(), method)(path).status_code
            assert status in (401, 405), (method, path, status)


def _operations(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "schema.json"
    call_command("spectacular", "--format", "openapi-json", "--file", str(file))
    return cast(dict[str, Any], json.loads(file.read_text()))


def test_the_schema_says_what_is_answered(tmp_path: Path) -> None:
    """Where an answer is not what one would guess from its method or its serializer."""
    schema = _operations(tmp_path)

    def answers(path: str, method: str = "get") -> dict[str, Any]:
        found: dict[str, Any] = schema["paths"][f"/api/v1/{path}"][method]["responses"]
        return found

    for path in (
        "artifact-versions/{version_id}",
        "artifacts/{project}/{domain}/{name}/versions/{version}",
        "triggers/{trigger_id}/limits",
    ):
        assert "application/json" in answers(path, "delete")["200"]["content"]
    for path in ("artifact-versions/{version_id}/lineage", "lineage/map"):
        content = answers(path)["200"]["content"]
        assert {"application/json", "text/vnd.graphviz", "text/plain"} == set(content)
    events = schema["components"]["schemas"]["GraphOrEvents"]["oneOf"]
    assert [each.get("type", "one") for each in events] == ["one", "array"]
    signals = answers("executions/{project}/{domain}/{name}/signals")["200"]["content"]["application/json"]["schema"]
    assert signals["$ref"].endswith("/SignalsOut")
    assert "format" not in schema["components"]["schemas"]["Me"]["properties"]["email"]
