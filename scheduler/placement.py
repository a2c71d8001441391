"""Which executor, and which cluster of it, an attempt goes to. Pure: what is configured is handed in.

0. A task of a type and version that a connector service runs goes to the connectors, whether or not it has a container
   (as in Flyte 1.16.8, whose connector plugin takes whatever its services list; plain programs never do). While a
   service has not yet said what it runs, what has no program of its own waits for that.
1. A kind that has clusters takes an attempt if one of them fits: it is open, it runs the task's type, and it has the
   label and the pool that the launch, or an administrator's attributes, ask for (EXECUTION_CLUSTER_LABEL and
   CLUSTER_ASSIGNMENT of Flyte, as flyteadmin reads them).
2. Among several that fit, all attempts of an execution go to one, by weight: what nodes hand on stays near.
3. Where an administrator has it so (`machine_first`), what asks for no label and no pool goes to the machine if that
   can run it, and only then to a cluster.
4. Otherwise it goes to the machine. What the machine cannot run is refused in words, not queued for ever.

A label that no cluster has is ignored where there are no clusters at all, as ever on one machine; where there are
some, it is an error to ask for one that is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from artifacts.exceptions import InvalidArgument

_SCALE = 2.0**64


@dataclass(frozen=True)
class Kind:
    """An executor as placement sees it."""

    name: str  # TaskExecution.executor
    clustered: bool = False  # it works for clusters that are configured; else it is this machine's
    plugins: frozenset[str] = frozenset()  # task types of several processes that it can start
    any_resource: bool = False  # it hands on resources of any name, `google.com/tpu`
    serves: bool = False  # it hands attempts to services, by task type


@dataclass(frozen=True)
class Cluster:
    """A cluster as it is configured."""

    name: str  # TaskExecution.cluster
    kind: str = "kubernetes"
    labels: frozenset[str] = frozenset()  # those that executions ask for it by; empty: it has none
    pools: frozenset[str] = frozenset()
    task_types: frozenset[str] = frozenset()  # those it runs; empty: any
    projects: frozenset[str] = frozenset()  # `project` or `project/domain`; empty: any
    weight: float = 1.0  # of executions that several fit; 0: only by its label or pool
    open: bool = True  # whether it takes new attempts


@dataclass(frozen=True)
class Service:
    """A connector service as placement sees it."""

    name: str
    types: frozenset[tuple[str, int]] = frozenset()  # task types and versions that it runs, as it said
    claims: frozenset[str] = frozenset()  # task types that its settings restrict it to; empty: none
    projects: frozenset[str] = frozenset()  # `project` or `project/domain`; empty: any
    open: bool = True  # whether it takes new attempts
    known: bool = True  # whether it has said what it runs


@dataclass(frozen=True)
class Asked:
    """What an attempt needs of a place. `seed`: the same for all attempts of an execution."""

    seed: str
    project: str = ""
    domain: str = ""
    task: str = ""  # its name
    task_type: str = ""
    version: int = 0  # of the task type
    label: str = ""
    pool: str = ""
    processes: str = ""  # in words, where it asks for several: `4 nodes`
    way_out: str = ""  # what runs on one machine instead of these
    resources: tuple[str, ...] = ()  # names of resources that only some places know
    runs_program: bool = True  # an echo runs none
    own_program: bool = True  # it has a container or a pod; else only a connector can run it


@dataclass(frozen=True)
class Place:
    executor: str
    cluster: str = ""


class NoPlace(InvalidArgument):
    """Nothing here runs it; the message says why and who can mend it."""


class NoExecutor(NoPlace):
    """It asks for processes that no executor here starts."""


def place(
    asked: Asked,
    kinds: Collection[Kind],
    clusters: Sequence[Cluster] = (),
    services: Sequence[Service] = (),
    *,
    machine_first: bool = False,
) -> Place:
    """Raises NoPlace."""
    serving = next((kind for kind in kinds if kind.serves), None)
    if services and serving is not None and asked.runs_program and _served(asked, services):
        return Place(serving.name)
    known = {kind.name: kind for kind in kinds}
    machine = next((kind for kind in kinds if not kind.clustered and not kind.serves), None)
    configured = [one for one in clusters if one.kind in known and known[one.kind].clustered]
    if machine_first and machine is not None and not (asked.label or asked.pool) and _machine_runs(asked, machine):
        return Place(machine.name)
    if configured and (asked.runs_program or machine is None):
        fitting = [one for one in _of_label(asked, configured) if _takes(asked, known[one.kind], one)]
        if fitting:
            chosen = _by_weight(asked.seed, fitting)
            return Place(chosen.kind, chosen.name)
        if asked.label or asked.pool or machine is None:
            raise NoPlace(_why_none(asked, configured))
    if machine is None:
        raise NoPlace("no executor is set up: an administrator configures a cluster")
    _check_machine(asked, machine)
    return Place(machine.name)


def _served(asked: Asked, services: Sequence[Service]) -> bool:
    """Whether one of the services takes it. NoExecutor where a service is all that could, and why none does."""
    own = (asked.task_type, asked.version)
    fitting = [one for one in services if one.open and _for_project(one.projects, asked)]
    if any(own in one.types or (not one.known and asked.task_type in one.claims) for one in fitting):
        return True
    if asked.own_program:
        return False
    if any(not one.known and not one.claims for one in fitting):
        return True
    if others := [one for one in services if own in one.types]:
        names = ", ".join(sorted(one.name for one in others))
        raise NoExecutor(
            f"the connector that runs tasks of type {asked.task_type!r} ({names}) is closed, or not open to "
            f"{asked.project}/{asked.domain}: an administrator changes that"
        )
    versions = sorted({version for one in fitting for name, version in one.types if name == asked.task_type})
    if versions:
        raise NoExecutor(
            f"{asked.task} is a task of type {asked.task_type!r} in version {asked.version}; connectors here run "
            f"version {', '.join(map(str, versions))} of it"
        )
    return False


def _for_project(projects: Collection[str], asked: Asked) -> bool:
    return not projects or asked.project in projects or f"{asked.project}/{asked.domain}" in projects


def _machine_runs(asked: Asked, machine: Kind) -> bool:
    try:
        _check_machine(asked, machine)
    except NoPlace:
        return False
    return True


def _check_machine(asked: Asked, machine: Kind) -> None:
    """Run as one process, a task that asks for several would succeed and have done something else."""
    if asked.processes and asked.task_type not in machine.plugins:
        raise NoExecutor(
            f"{asked.task} is a task of type {asked.task_type!r} and asks for {asked.processes}: this set-up has no "
            f"executor that can start that, and one plain process would not do the same{asked.way_out}"
        )
    if asked.resources and not machine.any_resource:
        raise NoPlace(f"task {asked.task} asks for {', '.join(sorted(asked.resources))}, which no executor here gives")


def _of_label(asked: Asked, clusters: Iterable[Cluster]) -> list[Cluster]:
    """By what executions ask for; of those that ask for nothing, the clusters that weigh something."""
    if not (asked.label or asked.pool):
        return [one for one in clusters if one.weight > 0]
    return [
        one
        for one in clusters
        if (not asked.label or asked.label in one.labels) and (not asked.pool or asked.pool in one.pools)
    ]


def _takes(asked: Asked, kind: Kind, cluster: Cluster) -> bool:
    return (
        cluster.open
        and (not cluster.task_types or asked.task_type in cluster.task_types)
        and _for_project(cluster.projects, asked)
        and (not asked.processes or asked.task_type in kind.plugins)
        and (not asked.resources or kind.any_resource)
    )


def _by_weight(seed: str, clusters: Sequence[Cluster]) -> Cluster:
    """The same for the same seed, and for most seeds still when a cluster is added: rendezvous hashing."""
    return max(clusters, key=lambda one: (_drawn(f"{seed}/{one.name}") ** (1 / (one.weight or 1.0)), one.name))


def _drawn(text: str) -> float:
    """Between 0 and 1, evenly."""
    return (int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") + 1) / _SCALE


def _why_none(asked: Asked, clusters: Sequence[Cluster]) -> str:
    wanted = [f"the label {asked.label!r}"] if asked.label else []
    wanted += [f"the pool {asked.pool!r}"] if asked.pool else []
    named = ", ".join(sorted(one.name for one in clusters))
    if wanted and not _of_label(asked, clusters):
        return f"no cluster has {' and '.join(wanted)}: there are {named}; an administrator sets labels and pools"
    what = f"tasks of type {asked.task_type!r} of {asked.project}/{asked.domain}"
    if needed := [*([asked.processes] if asked.processes else []), *sorted(asked.resources)]:
        what += f" that ask for {', '.join(needed)}"
    return f"no open cluster runs {what}: there are {named}; an administrator opens one, or changes what it takes"
