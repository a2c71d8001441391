"""What a task's attempts ask for: its own requests and limits, and what the platform adds and allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flyteidl.admin import matchable_resource_pb2
from flyteidl.core import tasks_pb2

from artifacts.exceptions import InvalidArgument
from scheduler import operators, pods
from scheduler.environment import REUSE
from scheduler.graphs import Target
from scheduler.quantities import quantity

NAMES = {
    tasks_pb2.Resources.CPU: "cpu",
    tasks_pb2.Resources.GPU: "gpu",
    tasks_pb2.Resources.MEMORY: "memory",
    tasks_pb2.Resources.EPHEMERAL_STORAGE: "ephemeral_storage",
}
# An eager workflow waits for what it launches: if each held a core, a few of them would wait for ever for the others'.
EAGER_CPU = 0.01

Platform = matchable_resource_pb2.TaskResourceAttributes
Amounts = dict[str, Any]  # TaskExecution.resources


def resources_of(target: Target, platform: Platform | None = None) -> Amounts:
    """What an attempt asks for, in the form of TaskExecution.resources: requests, or limits where nothing is requested.

    Of a pod: what Kubernetes would reserve for all its containers together; of a job: for all its replicas. `platform`:
    what is asked for where the task says nothing, and what nothing may exceed: more is cut down to it
    (AdjustOrDefaultResource of flyteplugins). `memory_limit` is there when the program may use another amount than the
    memory reserved. `at_most` names what was only limited: there a machine that has less gives all it has.
    """
    task = target.task or tasks_pb2.TaskTemplate()
    roles = operators.roles_of(task)
    if not roles:
        return _amounts(chosen(target, task), task, platform) | _extended(target, task)
    total: Amounts = {}
    for role in roles:
        asked_for = chosen(target, task) if role.resources is None else role.resources
        for name, amount in _amounts(asked_for, task, platform).items():
            if name in NAMES.values():  # limits and the like are each replica's own
                total[name] = total.get(name, 0) + role.count * amount
    return total | _extended(target, task)


def _amounts(asked_for: tasks_pb2.Resources, task: tasks_pb2.TaskTemplate, platform: Platform | None) -> Amounts:
    """Of one pod."""
    limited, requested = _entries(asked_for.limits), _entries(asked_for.requests)
    if task.metadata.is_eager and "cpu" not in limited:
        requested.setdefault("cpu", EAGER_CPU)
    defaults, ceilings = (
        amounts_of(platform.defaults if platform else None),
        amounts_of(platform.limits if platform else None),
    )
    amounts: Amounts = {}
    others = _Others(pods.parts_of(task))
    for name in NAMES.values():
        asked = requested.get(name) or limited.get(name) or defaults.get(name) or 0
        ceiling = ceilings.get(name) or float("inf")
        limit = min(limited.get(name) or asked, ceiling)
        own = min(asked, limit)
        amount = others.with_own(name, own)
        if not amount:
            continue
        amounts[name] = amount if name == "cpu" else int(amount)
        if name == "memory" and own and limit != amount:
            amounts["memory_limit"] = int(limit)
        if name != "gpu" and limited.get(name) and not requested.get(name):
            amounts.setdefault("at_most", []).append(name)
    return amounts


def extended_resources(target: Target, task: tasks_pb2.TaskTemplate) -> tasks_pb2.ExtendedResources:
    overrides = target.node.task_node.overrides
    return overrides.extended_resources if overrides.HasField("extended_resources") else task.extended_resources


def _extended(target: Target, task: tasks_pb2.TaskTemplate) -> Amounts:
    """The kind of accelerator and the size of /dev/shm: kept for those who look at an attempt, and for executors that
    can choose a machine; a process of this machine has its devices and all its shared memory.
    """
    asked = extended_resources(target, task)
    told: Amounts = {}
    if device := asked.gpu_accelerator.device:
        told["accelerator"] = device
    if size := asked.shared_memory.size_limit:
        told["shared_memory"] = int(quantity(size))
    return told


def chosen(target: Target, task: tasks_pb2.TaskTemplate) -> tasks_pb2.Resources:
    """A node's override replaces what the task says, as in Flyte; of a pod, each resource by itself (MergeResources of
    flyteplugins). What a plugin says of the process goes before its container.
    """
    overrides = target.node.task_node.overrides
    own = operators.resources_in_custom(task) or pods.container_of(task).resources
    if not overrides.HasField("resources"):
        return own
    if not pods.has_pod(task):
        return overrides.resources
    merged = tasks_pb2.Resources()
    for given, before, after in (
        (overrides.resources.requests, own.requests, merged.requests),
        (overrides.resources.limits, own.limits, merged.limits),
    ):
        after.extend(entry for entry in before if entry.name not in {one.name for one in given})
        after.extend(given)
    return merged


class _Others:
    """What the other containers of a pod need, by Kubernetes' rule: the larger of what runs at the same time, and of
    what an init container needs while it runs.
    """

    def __init__(self, parts: pods.PodParts) -> None:
        self.beside = [_needs(one) for one in parts.beside]
        self.before = [_needs(one) for one in parts.before]
        self.overhead = {name.replace("-", "_"): quantity(str(text)) for name, text in parts.overhead.items()}

    def with_own(self, name: str, own: float) -> float:
        together = own + sum(one.get(name, 0) for one in self.beside)
        peak = max((one.get(name, 0) for one in self.before), default=0)
        return max(together, peak) + self.overhead.get(name, 0)


def _needs(resources: tasks_pb2.Resources) -> dict[str, float]:
    return {**_entries(resources.limits), **_entries(resources.requests)}


def _check_reuse(task: tasks_pb2.TaskTemplate) -> None:
    """InvalidArgument where a task says that it may share a process or a pod with others and asks for what it could
    not have there: it would quietly get its own.
    """
    container = pods.container_of(task)
    if {pair.key: pair.value for pair in container.env}.get(REUSE) != "1":
        return
    reasons = {
        "secrets, which those that come after it in the process or the pod could find": task.security_context.secrets,
        "several containers, whose pod is made for one attempt": pods.parts_of(task).beside,
        "a container of its own words, which ends with the attempt": container.data_config.enabled,
        "several processes, which are started for one attempt": operators.roles_of(task),
    }
    if asked := next((reason for reason, found in reasons.items() if found), ""):
        raise InvalidArgument(f"task {task.id.name} says {REUSE}=1 and asks for {asked}: leave one of the two out")


def check_template(task: tasks_pb2.TaskTemplate, platform: Platform | None) -> None:
    """`check_task` of wherever the task says what it needs: container, pod, the plugin's own words, shared memory."""
    check_task(pods.container_of(task).resources, platform, name=task.id.name)
    if (told := operators.resources_in_custom(task)) is not None:
        check_task(told, platform, name=task.id.name)
    operators.check(task)
    _check_reuse(task)
    for role in operators.roles_of(task):
        if role.resources is not None:
            check_task(role.resources, platform, name=f"{task.id.name}, {role.name}")
    parts = pods.parts_of(task)
    for other in (*parts.beside, *parts.before):
        check_task(other, None, name=task.id.name)
    if size := task.extended_resources.shared_memory.size_limit:
        quantity(size)


def check_task(container: tasks_pb2.Resources, platform: Platform | None, *, name: str) -> None:
    """InvalidArgument for what cannot be given: bad quantities, requests above limits, more than the platform allows.

    As flyteadmin's ValidateTask; amounts are compared in whole units there, and so here.
    """
    limited, requested = _entries(container.limits), _entries(container.requests)
    ceilings = amounts_of(platform.limits if platform else None)
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
    defaults, ceilings = amounts_of(platform.defaults), amounts_of(platform.limits)
    for resource, amount in defaults.items():
        if ceilings.get(resource, amount) < amount:
            raise InvalidArgument(f"the default of {resource} is greater than its limit")


def _entries(entries: Iterable[tasks_pb2.Resources.ResourceEntry]) -> dict[str, float]:
    return {NAMES[entry.name]: quantity(entry.value) for entry in entries if entry.name in NAMES and entry.value}


def amounts_of(spec: matchable_resource_pb2.TaskResourceSpec | None) -> dict[str, float]:
    """Amounts above zero: as in flyteadmin, zero says as much as nothing."""
    given = {name: getattr(spec, name) for name in NAMES.values() if spec is not None}
    amounts = {name: quantity(text) for name, text in given.items() if text}
    return {name: amount for name, amount in amounts.items() if amount}


def _whole(amount: float) -> int:
    return -int(-amount // 1)
