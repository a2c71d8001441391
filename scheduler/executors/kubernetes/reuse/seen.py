"""Pools as the cluster shows them to somebody who looks: pods that stay, by what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.asking import QUICK
from scheduler.executors.kubernetes.client import Api

MOST = 1000  # pods looked at


@dataclass(frozen=True)
class SeenPod:
    """`tasks`: of attempts that run in it, by whoever counts them."""

    name: str
    phase: str
    node: str = ""
    tasks: int = 0

    @property
    def runs(self) -> bool:
        return self.phase == "Running"


@dataclass(frozen=True)
class SeenPool:
    key: str
    namespace: str
    project: str
    domain: str
    image: str
    pods: tuple[SeenPod, ...] = field(default=())

    @property
    def ready(self) -> int:
        return sum(pod.runs for pod in self.pods)

    @property
    def busy(self) -> int:
        """Tasks that run in it."""
        return sum(pod.tasks for pod in self.pods)


def look(api: Api, owner: str, cluster: str, tasks: Mapping[str, int]) -> tuple[SeenPool, ...]:
    """`tasks`: how many run in a pod, by `namespace/pod`. Raises what Api raises."""
    query = {"labelSelector": f"{names.selector(owner)},{names.POOL}", "limit": MOST}
    found: dict[str, SeenPool] = {}
    members: dict[str, list[SeenPod]] = {}
    for pod in pods.items(api.call("GET", "/api/v1/pods", query=query, timeout=QUICK), "items"):
        if not names.is_of(pod, cluster):
            continue
        key = str(pods.part(pod, "metadata", "labels").get(names.POOL))
        found.setdefault(key, _pool(key, pod))
        handle = f"{pods.namespace_of(pod)}/{pods.name_of(pod)}"
        seen = SeenPod(
            pods.name_of(pod),
            pods.text(pod, "status", "phase"),
            pods.text(pod, "spec", "nodeName"),
            tasks.get(handle, 0),
        )
        members.setdefault(key, []).append(seen)
    made = [
        SeenPool(one.key, one.namespace, one.project, one.domain, one.image, tuple(sorted(members[key], key=_name)))
        for key, one in found.items()
    ]
    return tuple(sorted(made, key=lambda one: (one.project, one.domain, one.image, one.key)))


def _name(pod: SeenPod) -> str:
    return pod.name


def _pool(key: str, pod: pods.Json) -> SeenPool:
    primary = pods.primary_of(pod)
    container = next((one for one in pods.items(pod, "spec", "containers") if one.get("name") == primary), {})
    marks = pods.part(pod, "metadata", "annotations")
    return SeenPool(
        key,
        pods.namespace_of(pod),
        str(marks.get(names.PROJECT, "")),
        str(marks.get(names.DOMAIN, "")),
        str(container.get("image", "")),
    )
