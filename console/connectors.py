"""What doors show of connectors, to administrators of the platform: settings, who set them, and what they run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.described import Described, named
from scheduler import heartbeat
from scheduler.executors.connectors import connectors
from scheduler.executors.connectors.connector import Connector
from scheduler.executors.descriptions import BadDescription
from scheduler.models import ConnectorCatalogue, ConnectorSettings, ExecutorInstance


@dataclass(frozen=True)
class Shown(Described[ConnectorSettings]):
    """A connector as people see it. `row` None: it stands in the settings, and is changed there."""

    noun = "connector"

    connector: Connector | None  # None: this version does not understand the description
    said: ConnectorCatalogue | None = None  # what it was heard to run, at the address it has now
    problem: str = ""  # why it gets nothing; empty: it does

    @property
    def open(self) -> bool:
        return self.connector is not None and self.connector.open

    @property
    def answers(self) -> bool:
        return self.said is not None and self.said.read_at is not None and not self.problem

    @property
    def endpoint(self) -> str:
        return self.connector.endpoint if self.connector else ""

    @property
    def types(self) -> list[dict[str, Any]]:
        """What it runs: [{"agent", "type", "version", "sync"}]."""
        return list(self.said.types) if self.said else []

    @property
    def read_at(self) -> datetime | None:
        return self.said.read_at if self.said else None


def shown(user: User) -> list[Shown]:
    """All of them, those of the settings first."""
    access.require(user, Action.ADMIN)
    said = {row.name: row for row in ConnectorCatalogue.objects.all()}
    seen_at = ExecutorInstance.objects.filter(executor=connectors.KIND).aggregate(newest=Max("seen_at"))["newest"]
    alive = heartbeat.is_recent(seen_at)
    of_settings = connectors.of_settings()
    named = {one.name for one in of_settings}
    rows = ConnectorSettings.objects.exclude(name__in=named).order_by("name")
    found = [Shown(one.name, _said(one), None, one) for one in of_settings]
    found += [_of_row(row) for row in rows]
    return [_with_catalogue(one, said.get(one.name), alive=alive) for one in found]


def access_connector(user: User, name: str) -> Shown:
    return named(Shown, shown(user), name)


def _of_row(row: ConnectorSettings) -> Shown:
    try:
        return Shown(row.name, row.description, row, connectors.of_row(row))
    except BadDescription as error:
        return Shown(row.name, row.description, row, None, problem=str(error))


def _with_catalogue(one: Shown, said: ConnectorCatalogue | None, *, alive: bool) -> Shown:
    if one.connector is None:
        return one
    said = said if said is not None and said.endpoint == one.endpoint else None
    problem = said.problem if said else "it has not been asked yet"
    if not alive:
        problem = "the process that asks it (executor-connectors) is not alive"
    return dataclasses.replace(one, said=said, problem=problem)


def _said(one: Connector) -> dict[str, Any]:
    """What differs from the defaults."""
    given, default = dataclasses.asdict(one), dataclasses.asdict(Connector())
    differing = {name: value for name, value in given.items() if value != default[name] and name != "name"}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in differing.items()}
