"""The services there are, what each runs, and which one an attempt goes to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from flyteidl.admin import agent_pb2

from scheduler.executors.connectors.calls import Away, Calls, Lost, Refused
from scheduler.executors.connectors.connector import Connector, types_of

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0  # between looks at the services that answer, as Flyte has it
LOOK_SOON_SECONDS = 2.0  # ... and at settings, and at services that do not

Types = Mapping[tuple[str, int], bool]  # type and version to whether it is answered in one call
InThread = Callable[..., Awaitable[Any]]


class Unknown(Exception):
    """No service runs such tasks."""


class Notes(Protocol):
    """Where it is written down what services said."""

    def catalogues(self) -> Mapping[str, list[dict[str, Any]]]: ...
    def heard(self, name: str, endpoint: str, types: list[dict[str, Any]], at: datetime) -> None: ...
    def silent(self, name: str, endpoint: str, problem: str, at: datetime) -> None: ...


@dataclass
class Service:
    calls: Calls
    types: dict[tuple[str, int], bool] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)  # also of types that it does not get
    known: bool = False  # whether it has ever said what it runs
    problem: str = "has not answered yet"  # empty: it answered when it was last asked
    look_at: float = 0.0  # of the event loop's clock
    creating: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @property
    def settings(self) -> Connector:
        return self.calls.settings

    def change(self, settings: Connector) -> None:
        """Those of the same address."""
        if settings.at_once != self.settings.at_once or not self.known:
            self.creating = asyncio.Semaphore(int(settings.at_once))
        self.calls.settings = settings
        self.types = types_of(settings, self.said)

    def hear(self, said: list[dict[str, Any]]) -> None:
        """What it runs."""
        self.said, self.known = said, True
        self.types = types_of(self.settings, said)


class Directory:
    """For one event loop. `settings` gives the connectors there are; `in_thread` runs what waits."""

    def __init__(self, settings: Callable[[], list[Connector]], notes: Notes, in_thread: InThread) -> None:
        self.settings, self.notes, self.in_thread = settings, notes, in_thread
        self.services: dict[str, Service] = {}
        self.changed = asyncio.Event()  # replaced whenever something is known that was not
        self.was_read = False  # whether settings were read at all
        self.was_asked = False  # whether all services were asked once

    async def follow(self) -> None:
        """For ever: read the settings and ask the services."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the database may be away, and comes back
                logger.warning("the connectors cannot be looked at, will try again: %s", error)
            await asyncio.sleep(LOOK_SOON_SECONDS)

    async def look(self) -> None:
        await self._follow_settings(await self.in_thread(self.settings))
        now = asyncio.get_running_loop().time()
        due = [one for one in self.services.values() if now >= one.look_at]
        await asyncio.gather(*(self._ask(one) for one in due))
        self.was_asked = True

    async def _follow_settings(self, found: list[Connector]) -> None:
        """A service at another address is another one; what else is changed keeps its connection, and the calls on it.

        Nobody closes the connection of one that is gone: calls that work while they are asked may run on it still.
        """
        by_name = {one.name: one for one in found}
        for name, service in list(self.services.items()):
            if name not in by_name or not service.calls.is_at(by_name[name]):
                del self.services[name]
            elif by_name[name] != service.settings:
                service.change(by_name[name])
                self.tell()
        new = [one for one in found if one.name not in self.services]
        said = await self.in_thread(self.notes.catalogues) if new else {}
        for one in new:
            try:
                service = Service(Calls(one))
            except OSError as error:
                logger.error("connector %s: its certificates cannot be read: %s", one.name, error)
                continue
            service.change(one)
            if (types := said.get(f"{one.name} {one.endpoint}")) is not None:
                service.hear(types)
            self.services[one.name] = service
        if new or not self.was_read:
            self.was_read = True
            self.tell()

    async def _ask(self, service: Service) -> None:
        one, now = service.settings, datetime.now(timezone.utc)
        loop = asyncio.get_running_loop()
        try:
            types = _said(await service.calls.agents())
        except (Away, Lost, Refused) as error:
            service.look_at = loop.time() + LOOK_SOON_SECONDS
            if service.problem != str(error):
                logger.warning("%s", error)
                service.problem = str(error)
            await self.in_thread(self.notes.silent, one.name, one.endpoint, service.problem, now)
            return
        news = not service.known or service.problem or service.said != types
        service.hear(types)
        service.problem = ""
        service.look_at = loop.time() + LOOK_SECONDS
        await self.in_thread(self.notes.heard, one.name, one.endpoint, types, now)
        if news:
            logger.info("%s runs %s", service.calls.words, ", ".join(sorted({name for name, _ in service.types})))
            self.tell()

    def tell(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def in_trouble(self, service: Service, problem: str) -> None:
        """It does not answer: nothing new goes there until it does, which is asked soon."""
        service.problem, service.look_at = problem, 0.0

    def route(self, category: agent_pb2.TaskCategory, place: tuple[str, str]) -> tuple[Service, bool]:
        """The service for a new attempt of that type of that project and domain, and whether it answers in one call.

        Raises Away while that cannot be told or the service does not answer, and Unknown.
        """
        own = (category.name, category.version)
        fitting = [one for one in self.services.values() if one.settings.open and _for_place(one.settings, place)]
        knowing = [one for one in fitting if own in one.types]
        if answering := [one for one in knowing if not one.problem]:
            return answering[0], answering[0].types[own]
        if knowing:
            raise Away(_words(knowing[0]))
        if unread := [one for one in fitting if not one.known and _claims(one.settings, category.name)]:
            raise Away(_words(unread[0]))
        if not self.was_read:
            raise Away("the connectors have not been looked at yet")
        raise Unknown(
            f"no connector of this set-up runs tasks of type {category.name!r}"
            + (
                f" in version {category.version}"
                if any(name == own[0] for one in fitting for name, _ in one.types)
                else ""
            )
        )

    def named(self, name: str) -> Service:
        """The service that made a job. Raises Away if it is not set any more."""
        if name not in self.services:
            why = (
                "is not set any more: an administrator sets it again" if self.was_read else "has not been looked at yet"
            )
            raise Away(f"connector {name} {why}")
        return self.services[name]

    async def close(self) -> None:
        for service in self.services.values():
            await service.calls.close()


def _claims(one: Connector, task_type: str) -> bool:
    return not one.task_types or task_type in one.task_types


def _words(service: Service) -> str:
    return (
        service.problem
        if service.known or service.settings.name in service.problem
        else (f"{service.calls.words} {service.problem}: what it runs is not known")
    )


def _for_place(one: Connector, place: tuple[str, str]) -> bool:
    return not one.projects or place[0] in one.projects or "/".join(place) in one.projects


def _said(agents: list[agent_pb2.Agent]) -> list[dict[str, Any]]:
    """What a catalogue holds. Services older than the versions of types name only types."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for agent in agents:
        categories = {(one.name, one.version) for one in agent.supported_task_categories}
        named = {name for name, _ in categories}
        categories |= {(name, 0) for name in agent.supported_task_types if name not in named}
        for name, version in sorted(categories):
            found[name, version] = {"agent": agent.name, "type": name, "version": version, "sync": agent.is_sync}
    return list(found.values())
