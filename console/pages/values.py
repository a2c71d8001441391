"""Inputs and outputs as pages show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from flyteidl.core import interface_pb2, literals_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError, NotFound
from artifacts.literals import carried, describe_type, infer_type, primary_uri, to_json
from artifacts.models import ArtifactVersion
from artifacts.store import store
from console.accounts import access

TOO_LARGE = 4_000_000  # bytes of a literal map; larger ones are not decoded for a page
TOO_LONG = 4_000  # characters of a value that a page shows


@dataclass(frozen=True)
class Value:
    name: str
    type: str
    text: str
    multiline: bool
    uri: str
    version: ArtifactVersion | None


@dataclass(frozen=True)
class Values:
    """What a literal map holds, or why it cannot be shown."""

    rows: list[Value]
    problem: str = ""


def read_literals(uri: str) -> literals_pb2.LiteralMap:
    """The literal map at `uri`; an empty one where nothing was written. Raises ValueError where it cannot be shown."""
    literals = literals_pb2.LiteralMap()
    if not uri:
        return literals
    try:
        size = store().size(uri)
        if size > TOO_LARGE:
            raise ValueError(f"too large to show here ({size:,} bytes): {uri}")
        literals.ParseFromString(store().get(uri))
    except NotFound:
        return literals
    except CausewayError as error:
        raise ValueError(error.message) from error
    except DecodeError as error:
        raise ValueError(f"not a literal map: {uri}") from error
    return literals


def read_values(
    request: HttpRequest, uri: str, variables: Mapping[str, interface_pb2.Variable] | None = None
) -> Values:
    try:
        literals = read_literals(uri)
    except ValueError as error:
        return Values([], str(error))
    return Values(show_literals(request, literals.literals, variables or {}))


def show_literals(
    request: HttpRequest,
    literals: Mapping[str, literals_pb2.Literal],
    variables: Mapping[str, interface_pb2.Variable],
) -> list[Value]:
    """In the order of names, each with the artifact version it carries where the user may read that."""
    versions = _readable_versions(request, (carried(literal) for literal in literals.values()))
    return [_show(name, literals[name], variables.get(name), versions) for name in sorted(literals)]


def _show(
    name: str,
    literal: literals_pb2.Literal,
    variable: interface_pb2.Variable | None,
    versions: Mapping[int, ArtifactVersion],
) -> Value:
    literal_type = variable.type if variable is not None else infer_type(literal)
    value = to_json(literal, literal_type)
    # Of a file, a directory or a dataset people want to know where it lies; the rest is in its type.
    text = primary_uri(literal) if isinstance(value, dict) and primary_uri(literal) else spell(value)
    version = versions.get(carried(literal) or 0)
    described = describe_type(literal_type) if literal_type is not None else ""
    return Value(name, described, text, "\n" in text or len(text) > 240, primary_uri(literal), version)


def spell(value: Any) -> str:
    """A JSON value as text, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= TOO_LONG else f"{text[:TOO_LONG]} ... ({len(text):,} characters)"


def _readable_versions(request: HttpRequest, ids: Iterable[int | None]) -> dict[int, ArtifactVersion]:
    wanted = {key for key in ids if key is not None}
    if not wanted:
        return {}
    readable = access.readable(request.user, project="artifact__project", domain="artifact__domain")
    rows = ArtifactVersion.objects.filter(readable, pk__in=wanted).select_related("artifact")
    return {row.pk: row for row in rows.defer("literal", "literal_type", "card")}
