"""What an operator says of a connector service. Only its address has no default that works."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.executors.descriptions import BadDescription, made

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", re.ASCII)
_PORTS = 65536
LONGEST_ENDPOINT = 255


@dataclass(frozen=True)
class Connector:
    """A service that is found at one address. Times are seconds."""

    name: str = "connector"
    endpoint: str = ""  # host:port of its gRPC door
    secure: bool = False  # whether it speaks TLS, with a certificate that the system or `ca_file` vouches for
    ca_file: str = ""  # path of certificates in PEM; empty: the system's
    task_types: tuple[str, ...] = ()  # of the types it knows, those it gets; empty: all
    projects: tuple[str, ...] = ()  # `project` or `project/domain`; empty: any
    open: bool = True  # whether it takes new attempts
    create_seconds: float = 60.0  # for an answer to CreateTask
    get_seconds: float = 30.0  # for an answer to any other call
    sync_seconds: float = 3600.0  # for an answer to ExecuteTaskSync, which is the work itself
    poll_seconds: float = 10.0  # the longest pause between two looks at a job; the first ones come sooner
    at_once: int = 50  # jobs made at the same time
    # Types of which it does no harm to make a job twice: asked again when the answer was lost
    repeatable: tuple[str, ...] = ("sensor",)


def described(given: Any) -> Connector:
    """A connector from what YAML or JSON says. BadDescription."""
    if not isinstance(given, dict):
        raise BadDescription("the description of a connector has to be a mapping, such as `endpoint: localhost:8000`")
    found: Connector = made(Connector, given, "the connector")
    _check(found)
    return found


def parse(text: str) -> list[Connector]:
    """Those of a setting: `name=host:port` and paths of YAML files that describe one or a list, separated by commas.

    Raises BadDescription.
    """
    found = [one for part in text.split(",") if part.strip() for one in _part(part.strip())]
    if len({one.name for one in found}) < len(found):
        raise BadDescription("two connectors have one name: each needs a `name` of its own")
    return found


def _part(text: str) -> list[Connector]:
    name, equals, endpoint = text.partition("=")
    if equals:
        return [described({"name": name.strip(), "endpoint": endpoint.strip()})]
    import yaml  # noqa: PLC0415 - every process imports this module, and most read none

    try:
        given = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadDescription(f"the description of connectors in {text} cannot be read: {error}") from None
    return [described(one) for one in (given if isinstance(given, list) else [given])]


def types_of(one: Connector, said: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], bool]:
    """The types and versions it gets, each with whether it is answered in one call. `said`: as ConnectorCatalogue keeps
    it.
    """
    entries = ((str(entry["type"]), int(entry["version"]), bool(entry["sync"])) for entry in said)
    return {(name, version): sync for name, version, sync in entries if not one.task_types or name in one.task_types}


def _check(found: Connector) -> None:
    if not _NAME.fullmatch(found.name):
        raise BadDescription(
            f"a connector's name has small letters, digits and '-', at most 32: {found.name!r} does not"
        )
    match = _ENDPOINT.fullmatch(found.endpoint)
    if match is None or len(found.endpoint) > LONGEST_ENDPOINT or not 0 < int(match[2]) < _PORTS:
        raise BadDescription(
            f"endpoint has to be host:port of the connector's gRPC door, such as localhost:8000; got {found.endpoint!r}"
        )
    for name in ("task_types", "projects", "repeatable"):
        if wrong := [one for one in getattr(found, name) if not isinstance(one, str) or not one]:
            raise BadDescription(f"{name} has to be a list of texts; {wrong[0]!r} is none")
    for name in ("create_seconds", "get_seconds", "sync_seconds", "poll_seconds", "at_once"):
        if getattr(found, name) <= 0:
            raise BadDescription(f"{name} has to be above zero")
    if int(found.at_once) != found.at_once:
        raise BadDescription("at_once has to be a whole number")
