"""Which executors this installation has, by name, and what each can run. A new one is an entry here, and modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from scheduler.executors.base import Executor
from scheduler.operators import JOBS
from scheduler.placement import Cluster, Kind, Service
from scheduler.together import ON_ONE_MACHINE

LOCAL = "local"


class BadSetup(Exception):
    """The settings do not make an executor; the message says which and why."""


@dataclass(frozen=True)
class Setup:
    """What a process that runs an executor was told. `cluster`: which one of a kind that has several places."""

    home: Path
    cluster: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


Factory: TypeAlias = Callable[[Setup], Executor]


@dataclass(frozen=True)
class Entry:
    kind: Kind
    factory: str  # `module:function` (Setup to Executor), imported by the process that runs it alone
    clusters: str = ""  # `module:function` that gives the configured clusters of the kind, a list of placement.Cluster
    asks: str = ""  # `module:EXPRESSION` of SQL whose value that function takes: asked along with something else
    services: str = ""  # the same of its services, a list of placement.Service
    # `module:function` that names the processes of the kind to be kept while Causeway runs: the cluster that each is
    # for, with a text that changes when it has to start anew
    kept: str = ""


KUBERNETES = "kubernetes"
CONNECTORS = "connectors"
_ENTRIES = (
    Entry(Kind(LOCAL, plugins=ON_ONE_MACHINE), "scheduler.executors.local.factory:make"),
    Entry(
        Kind(KUBERNETES, clustered=True, any_resource=True, plugins=JOBS),
        "scheduler.executors.kubernetes.factory:make",
        "scheduler.executors.kubernetes.clusters:configured",
        asks="scheduler.executors.kubernetes.clusters:ROWS",
        kept="scheduler.executors.kubernetes.clusters:to_keep",
    ),
    Entry(
        Kind(CONNECTORS, serves=True),
        "scheduler.executors.connectors.factory:make",
        services="scheduler.executors.connectors.connectors:configured",
        kept="scheduler.executors.connectors.connectors:to_keep",
    ),
)
REGISTRY: Mapping[str, Entry] = {entry.kind.name: entry for entry in _ENTRIES}


def kinds() -> list[Kind]:
    return [entry.kind for entry in REGISTRY.values()]


def questions() -> list[str]:
    """What `clusters` asks the database, to be asked along with something else: expressions of SQL."""
    return [_named(entry.asks) for entry in REGISTRY.values() if entry.asks]


def clusters(told: Sequence[Any] = ()) -> list[Cluster]:
    """All that are configured, of every kind. `told`: what `questions` were answered; without, it is asked now."""
    answers = iter(told)
    found: list[Cluster] = []
    for entry in REGISTRY.values():
        if entry.clusters:
            found += _named(entry.clusters)(*([next(answers)] if entry.asks and told else ()))
    return found


def services() -> list[Service]:
    """All that are configured, of every kind."""
    return [one for entry in REGISTRY.values() if entry.services for one in _named(entry.services)()]


def to_keep() -> dict[tuple[str, str], str]:
    """Of which kind and which cluster of it a process has to run, with a text that changes when it starts anew."""
    return {
        (kind, cluster): settings
        for kind, entry in REGISTRY.items()
        if entry.kept
        for cluster, settings in _named(entry.kept)().items()
    }


def make(name: str, setup: Setup) -> Executor:
    """BadSetup for a name that nothing has, and for settings it cannot be made of."""
    entry = REGISTRY.get(name)
    if entry is None:
        raise BadSetup(f"there is no executor {name!r}; there are: {', '.join(sorted(REGISTRY))}")
    if entry.kind.clustered and not setup.cluster:
        raise BadSetup(f"an executor of kind {name} needs the name of its cluster: --cluster")
    factory: Factory = _named(entry.factory)
    return factory(setup)


def _named(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)
