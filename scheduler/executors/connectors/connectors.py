"""The connectors there are: those that the settings name, then those that were set while Causeway runs."""

from __future__ import annotations

import json
import logging
import os
from functools import lru_cache

from django.conf import settings

from artifacts.arrays import array_of
from scheduler.executors.connectors.connector import Connector, described, parse, types_of
from scheduler.executors.descriptions import BadDescription
from scheduler.models import ConnectorCatalogue, ConnectorSettings
from scheduler.placement import Service
from scheduler.statements import select

logger = logging.getLogger(__name__)

KIND = "connectors"


def all_connectors() -> list[Connector]:
    """BadDescription for a setting that is not understood. A row that this version does not understand is left out."""
    found = of_settings()
    named = {one.name for one in found}
    rows = select(ConnectorSettings, "name <> ALL(%s::text[]) ORDER BY name", [array_of(sorted(named))], planned=True)
    return [*found, *(one for row in rows if (one := _understood(row.name, row.description)) is not None)]


def of_settings() -> list[Connector]:
    """Those of CAUSEWAY_CONNECTORS. BadDescription."""
    text = settings.CAUSEWAY_CONNECTORS
    return _parsed(text, _changed_at(text)) if text else []


def of_row(row: ConnectorSettings) -> Connector:
    """BadDescription."""
    return _described(row.name, json.dumps(row.description))


def configured() -> list[Service]:
    """As placement sees them."""
    found = all_connectors()
    if not found:
        return []
    known = {one.name: one for one in ConnectorCatalogue.objects.filter(name__in=[one.name for one in found])}
    return [service_of(one, known.get(one.name)) for one in found]


def service_of(one: Connector, said: ConnectorCatalogue | None) -> Service:
    """`said`: what it was last heard to run."""
    valid = said is not None and said.endpoint == one.endpoint and said.read_at is not None
    types = types_of(one, said.types if said is not None and valid else [])
    return Service(
        name=one.name,
        types=frozenset(types),
        claims=frozenset(one.task_types),
        projects=frozenset(one.projects),
        open=one.open,
        known=valid,
    )


def to_keep() -> dict[str, str]:
    """One process for all of them, if there are any; it reads by itself what is changed."""
    return {"": ""} if all_connectors() else {}


def _understood(name: str, description: object) -> Connector | None:
    try:
        return _described(name, json.dumps(description))
    except BadDescription as error:
        logger.warning("connector %s is left out: %s", name, error)
        return None


@lru_cache(maxsize=64)
def _described(name: str, description: str) -> Connector:
    return described({**json.loads(description), "name": name})


def _changed_at(text: str) -> tuple[int, ...]:
    """When the files that are named last changed."""
    return tuple(_time_of(part.strip()) for part in text.split(",") if "=" not in part)


def _time_of(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=4)
def _parsed(text: str, changed_at: tuple[int, ...]) -> list[Connector]:
    return parse(text)
