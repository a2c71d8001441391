"""What a cluster has and what pods ask for of it, by resource and, of GPUs, by model. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.executors.kubernetes import pods, sizes
from scheduler.executors.kubernetes.cluster import Accelerators
from scheduler.executors.kubernetes.containers import is_device
from scheduler.executors.kubernetes.pods import Json, part, text

CPU, MEMORY = "cpu", "memory"
# Where nodes say which GPU they have: NVIDIA's feature discovery, besides the label that the cluster's settings name
_PRODUCT = "nvidia.com/gpu.product"


@dataclass(frozen=True)
class Has:
    """`model`: of a device, where its nodes say it. Cores, bytes, devices. Of nodes that take pods."""

    resource: str
    model: str
    nodes: int
    allocatable: float
    used: float  # what pods on these nodes ask for, anybody's

    @property
    def name(self) -> str:
        return f"{self.resource} {self.model}".strip()

    @property
    def words(self) -> str:
        return f"{sizes.words(self.used)} of {sizes.words(self.allocatable)} {self.name} in use"


def is_ready(node: Json) -> bool:
    """Whether it takes pods."""
    return pods.condition(node, "Ready").get("status") == "True" and not part(node, "spec").get("unschedulable")


def capacity(nodes: Sequence[Json], on_them: Iterable[Json], labels: Accelerators) -> list[Has]:
    """`on_them`: all pods, also those of others. cpu and memory first, then devices."""
    used: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pod in on_them:
        if text(pod, "status", "phase") not in ("Succeeded", "Failed"):
            for name, amount in sizes.requested(pod).items():
                used[text(pod, "spec", "nodeName")][name] += amount
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for node in filter(is_ready, nodes):
        model = _model(node, labels)
        of_node = used[pods.name_of(node)]
        for name, amount in sizes.amounts(part(node, "status", "allocatable")).items():
            device = is_device(name) and not name.startswith("hugepages")
            if name in (CPU, MEMORY) or (device and amount):
                found[name, model if device else ""].append((amount, of_node.get(name, 0.0)))
    has = [
        Has(name, model, len(each), sum(one for one, _ in each), sum(one for _, one in each))
        for (name, model), each in found.items()
    ]
    return sorted(has, key=lambda one: (one.resource not in (CPU, MEMORY), one.resource, one.model))


def _model(node: Json, labels: Accelerators) -> str:
    of_node = part(node, "metadata", "labels")
    return next((str(of_node[name]) for name in (labels.device_label, _PRODUCT) if of_node.get(name)), "")
