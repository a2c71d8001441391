"""What a kind of job is: how it is made of an attempt, and what is seen of it. Pure, as everything of the kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.cluster import Cluster, Graces
from scheduler.executors.kubernetes.containers import Surroundings
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Waits
from scheduler.executors.kubernetes.resource import Resource

Json = dict[str, Any]  # what is made
Seen: TypeAlias = pods.Json  # what is there
NAME_LETTERS = 44  # room for `-worker-123` and the like: pods and services have 63, and KubeRay adds eleven by itself


@dataclass(frozen=True)
class Rank:
    """Which replica of a job a pod is."""

    role: str
    index: int = 0

    @property
    def name(self) -> str:
        return f"{self.role}-{self.index}"


@dataclass(frozen=True)
class Plan:
    """All that a job is made of."""

    spec: AttemptSpec
    name: str  # of the job
    resource: Resource
    cluster: Cluster
    around: Surroundings

    @property
    def custom(self) -> Mapping[str, Any]:
        return self.spec.job.custom if self.spec.job is not None else {}


@dataclass(frozen=True)
class Leaving:
    """It is about to go: its pods are waited for."""


@dataclass(frozen=True)
class Scene:
    """A job as the cluster has it now. `pods`: of each replica the newest, also one that has ended and is gone."""

    job: Seen | None  # None: it is gone
    pods: Mapping[Rank, Seen]
    now: datetime
    graces: Graces
    operator: str
    main: Rank | None = None  # the replica whose log is the attempt's
    expected: int = 0  # pods that have to be there before it runs
    ran: bool = False  # that it runs was told
    asked_to_go: bool = False  # Causeway has deleted it
    events: Mapping[Rank, Sequence[Seen]] = field(default_factory=dict)
    since: Mapping[Rank, datetime] = field(default_factory=dict)  # of those that wait: when its reason was first seen

    @property
    def status(self) -> Seen:
        told = (self.job or {}).get("status")
        return told if isinstance(told, Mapping) else {}


Sight: TypeAlias = Waits | Runs | Ending | Over | Leaving


@dataclass(frozen=True)
class Kind:
    """`build` raises InvalidArgument, in one sentence. `rank` is None for a pod that is none of the job's replicas.
    `main`: the replica whose log is the attempt's. `expected`: how many pods there have to be before it runs; 0: the
    operator says when. `by_main`: the end of the main one alone tells how it ended, for others are made up for.
    """

    task_type: str
    operator: str  # as people know it
    resources: tuple[Resource, ...]  # the better ones first
    build: Callable[[Plan], Json]
    observe: Callable[[Scene], Sight]
    rank: Callable[[Seen], Rank | None]
    main: Callable[[AttemptSpec], Rank]
    expected: Callable[[AttemptSpec], int] = lambda spec: 0
    by_main: bool = False

    @property
    def words(self) -> str:
        """`PyTorchJob (kubeflow.org/v1)`, of each version."""
        return " or ".join(f"{one.kind} ({one.api_version})" for one in self.resources)
