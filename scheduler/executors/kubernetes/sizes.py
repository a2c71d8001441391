"""Whether any node of a cluster could ever hold a pod, by the numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from artifacts.exceptions import CausewayError
from scheduler.executors.kubernetes.containers import is_device
from scheduler.executors.kubernetes.pods import Json, items, part, sidecars, text
from scheduler.quantities import quantity

Amounts = Mapping[str, float]


def too_large(pod: Json, nodes: Sequence[Json]) -> str:
    """What it asks for that no node has, in numbers; empty: some node could hold it, or there is no node to compare
    with. Taints and selectors are not looked at: without them there are more nodes, not fewer.
    """
    asked = requested(pod)
    sizes = [_size(node) for node in nodes]
    if not sizes or any(_holds(size, asked) for size in sizes):
        return ""
    told = []
    for name, amount in sorted(asked.items()):
        most = max(size.get(name, 0.0) for size in sizes)
        if amount > most:
            told.append(f"it asks for {words(amount)} {name}, and no node has more than {words(most)}")
    if told:
        return "; ".join(told)
    all_of_it = ", ".join(f"{words(amount)} {name}" for name, amount in sorted(asked.items()))
    return f"it asks for {all_of_it}: no node has all"


def requested(pod: Json) -> dict[str, float]:
    """Of the pod as the scheduler counts it: its containers and sidecars together, or the largest init container."""
    along = sidecars(pod)
    init = items(pod, "spec", "initContainers")
    together: dict[str, float] = {}
    for one in (*items(pod, "spec", "containers"), *(one for one in init if text(one, "name") in along)):
        for name, amount in _requests(one).items():
            together[name] = together.get(name, 0.0) + amount
    for one in init:
        for name, amount in _requests(one).items():
            together[name] = max(together.get(name, 0.0), amount)
    for name, amount in amounts(part(pod, "spec", "overhead")).items():
        together[name] = together.get(name, 0.0) + amount
    return {name: amount for name, amount in together.items() if amount}


def _requests(container: Json) -> dict[str, float]:
    limits = amounts(part(container, "resources", "limits"))  # what is asked for where only a limit is given
    return {**limits, **amounts(part(container, "resources", "requests"))}


def _size(node: Json) -> dict[str, float]:
    """What it could give. Of devices its capacity: their plug-ins come and go, and allocatable is 0 meanwhile."""
    has = amounts(part(node, "status", "allocatable"))
    for name, amount in amounts(part(node, "status", "capacity")).items():
        if is_device(name):
            has[name] = max(amount, has.get(name, 0.0))
    return has


def _holds(size: Amounts, asked: Amounts) -> bool:
    return all(size.get(name, 0.0) >= amount for name, amount in asked.items())


def amounts(told: Json) -> dict[str, float]:
    """Of resources as Kubernetes writes them; what is no quantity is left out."""
    found = {}
    for name, amount in told.items():
        try:
            found[name] = quantity(str(amount))
        except CausewayError:
            continue
    return found


def words(amount: float) -> str:
    """For people: large ones are bytes."""
    for factor, unit in ((2**30, "Gi"), (2**20, "Mi")):
        if amount >= factor:
            return f"{amount / factor:.4g}{unit}"
    return f"{amount:g}"
