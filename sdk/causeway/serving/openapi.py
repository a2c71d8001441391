"""The description of a served model."""

from __future__ import annotations

from typing import Any

from causeway.serving.models import Loaded

_JSON = "application/json"
_MODEL = {
    "type": "object",
    "description": "the version that gave the predictions; its address leads to its lineage",
    "properties": {name: {"type": "string"} for name in ("artifact", "version", "project", "domain", "address")},
}
_ROW = {"oneOf": [{"type": "array", "items": {}}, {"type": "object"}, {"type": "number"}, {"type": "string"}]}


def document(loaded: Loaded | None, *, token: bool) -> dict[str, Any]:
    """OpenAPI 3.1."""
    name = loaded.version.name if loaded else "a model"
    version = loaded.version.version if loaded else "none yet"
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": f"Predictions of {name}", "version": version},
        "paths": {
            "/predict": {"post": _predict(token)},
            "/model": {"get": _get("Which version answers, and since when")},
            "/health": {"get": _get("Whether the process lives")},
            "/ready": {"get": _get("Whether a version answers: else 503")},
        },
    }
    if token:
        found["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
    return found


def _predict(token: bool) -> dict[str, Any]:
    asked = {"type": "object", "required": ["instances"], "properties": {"instances": _list(_ROW)}}
    told = {"type": "object", "properties": {"predictions": _list({}), "model": _MODEL}}
    said = {
        "summary": "A prediction for each row",
        "requestBody": {"required": True, "content": {_JSON: {"schema": asked}}},
        "responses": {
            "200": {"description": "in the order of the rows", "content": {_JSON: {"schema": told}}},
            "400": {"description": "rows that the model does not take"},
            "503": {"description": "no version is loaded"},
        },
    }
    return {**said, "security": [{"token": []}]} if token else said


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "JSON", "content": {_JSON: {"schema": {}}}}}}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
