"""What a task's attempts ask for: its own requests and limits, and what the platform adds and allows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flyteidl.admin import matchable_resource_pb2
from flyteidl.core import tasks_pb2

from artifacts.exceptions import InvalidArgument
from scheduler.graphs import Target

_QUANTITY = re.compile(r"^\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Z]*)\s*$")
_SUFFIXES = {
    "": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_NAMES = {
    tasks_pb2.Resources.CPU: "cpu",
    tasks_pb2.Resources.GPU: "gpu",
    tasks_pb2.Resources.MEMORY: "memory",
    tasks_pb2.Resources.EPHEMERAL_STORAGE: "ephemeral_storage",
}
# An eager workflow waits for what it launches: if each held a core, a few of them would wait for ever for the others'.
EAGER_CPU = 0.01

Platform = matchable_resource_pb2.TaskResourceAttributes
Amounts = dict[str, float | int]


def quantity(text: str) -> float:
    """A Kubernetes quantity (`500m`, `1Gi`, `2`) as a number. InvalidArgument if it is none."""
    match = _QUANTITY.match(text)
    try:
        if match is None:
            raise ValueError(text)
        return float(match[1]) * _SUFFIXES[match[2]]
    except (ValueError, KeyError):
        raise InvalidArgument(f"{text!r} is not a resource quantity such as 500m, 1Gi or 2") from None


def resources_of(target: Target, platform: Platform | None = None) -> Amounts:
    """Requests, or limits where nothing is requested; a node's override replaces the task's, as in Flyte.

    `platform`: what is asked for where the task says nothing, and what nothing may exceed: more is cut down to it
    (AdjustOrDefaultResource of flyteplugins). `memory_limit` is there when it is more than the memory requested.
    """
    overrides = target.node.task_node.overrides
    container = target.task.container.resources if target.task is not None else tasks_pb2.Resources()
    chosen = overrides.resources if overrides.HasField("resources") else container
    limited, requested = _entries(chosen.limits), _entries(chosen.requests)
    if target.task is not None and target.task.metadata.is_eager and "cpu" not in limited:
        requested.setdefault("cpu", EAGER_CPU)
    defaults, ceilings = _spec(platform.defaults if platform else None), _spec(platform.limits if platform else None)
    amounts: Amounts = {}
    for name in _NAMES.values():
        asked = requested.get(name) or limited.get(name) or defaults.get(name)
        if not asked:
            continue
        ceiling = ceilings.get(name) or float("inf")
        limit = min(limited.get(name) or asked, ceiling)
        amount = min(asked, limit)
        amounts[name] = amount if name == "cpu" else int(amount)
        if name == "memory" and limit > amount:
            amounts["memory_limit"] = int(limit)
    return amounts


def check_task(container: tasks_pb2.Resources, platform: Platform | None, *, name: str) -> None:
    """InvalidArgument for what cannot be given: bad quantities, requests above limits, more than the platform allows.

    As flyteadmin's ValidateTask; amounts are compared in whole units there, and so here.
    """
    limited, requested = _entries(container.limits), _entries(container.requests)
    ceilings = _spec(platform.limits if platform else None)
    for resource, amount in requested.items():
        limit = limited.get(resource)
        if resource == "gpu" and amount % 1:
            raise InvalidArgument(f"task {name}: gpu must be a whole number, got {amount:g}")
        if resource == "gpu" and limit is not None and limit != amount:
            raise InvalidArgument(f"task {name}: for gpu the request ({amount:g}) must equal the limit ({limit:g})")
        if limit is not None and _whole(limit) < _whole(amount):
            raise InvalidArgument(
                f"task {name}: the request of {resource} [{amount:g}] is greater than its limit [{limit:g}]"
            )
    for resource, ceiling in ceilings.items():
        amount = max(requested.get(resource, 0), limited.get(resource, 0))
        if _whole(amount) > _whole(ceiling):
            raise InvalidArgument(
                f"task {name}: {resource} [{amount:g}] is greater than the limit set for its project [{ceiling:g}]; "
                "an administrator of the project can raise it"
            )


def check_platform(platform: Platform) -> None:
    """InvalidArgument for quantities that are none, and for defaults above the limits."""
    defaults, ceilings = _spec(platform.defaults), _spec(platform.limits)
    for resource, amount in defaults.items():
        if ceilings.get(resource, amount) < amount:
            raise InvalidArgument(f"the default of {resource} is greater than its limit")


def _entries(entries: Iterable[tasks_pb2.Resources.ResourceEntry]) -> dict[str, float]:
    return {_NAMES[entry.name]: quantity(entry.value) for entry in entries if entry.name in _NAMES and entry.value}


def _spec(spec: matchable_resource_pb2.TaskResourceSpec | None) -> dict[str, float]:
    """Amounts above zero: as in flyteadmin, zero says as much as nothing."""
    given = {name: getattr(spec, name) for name in _NAMES.values() if spec is not None}
    amounts = {name: quantity(text) for name, text in given.items() if text}
    return {name: amount for name, amount in amounts.items() if amount}


def _whole(amount: float) -> int:
    return -int(-amount // 1)
