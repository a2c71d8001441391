"""What the container of a task's program asks for, by itself and in Kubernetes' words, for who makes a pod of it.

`task_resources` says how much of a machine an attempt takes; both read the same requests, limits and platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flyteidl.core import tasks_pb2

from scheduler import operators, pods
from scheduler.attempts.spec import Accelerator, Needs, SharedMemory
from scheduler.graphs import Target
from scheduler.quantities import quantity
from scheduler.task_resources import EAGER_CPU, NAMES, Platform, amounts_of, chosen, extended_resources

_KUBERNETES = {"ephemeral_storage": "ephemeral-storage"}  # where it is called otherwise


def needs_of(target: Target, platform: Platform | None = None) -> Needs:
    """As `resources_of`, but a limit is there only where somebody said one: Flyte makes the request the limit, and a
    task that asks for 50m of a core then takes a minute to import flytekit.
    """
    task = target.task or tasks_pb2.TaskTemplate()
    return _needs(target, task, chosen(target, task), platform)


def needs_of_roles(target: Target, platform: Platform | None = None) -> dict[str, Needs]:
    """Of each role of a job, by its name, where it asks for something itself; the others need what `needs_of` says."""
    task = target.task or tasks_pb2.TaskTemplate()
    roles = [role for role in operators.roles_of(task) if role.resources is not None]
    return {role.name: _needs(target, task, role.resources, platform) for role in roles if role.resources is not None}


def _needs(
    target: Target, task: tasks_pb2.TaskTemplate, asked: tasks_pb2.Resources, platform: Platform | None
) -> Needs:
    requested, limited = _texts(asked.requests), _texts(asked.limits)
    if task.metadata.is_eager and "cpu" not in limited:
        requested.setdefault("cpu", f"{EAGER_CPU * 1000:g}m")
    requests, limits = _within(requested, limited, platform or Platform())
    said = {_KUBERNETES.get(name, name) for name in (*requested, *limited)}
    devices = pods.devices_of(task)
    if any(map(pods.is_gpu, devices.requests | devices.limits)) and not _overrides_gpu(target):
        requests.pop("gpu", None)  # they have names of their own
        limits.pop("gpu", None)
    else:
        devices = devices.without_gpus()
    accelerator, memory = _extended(target, task)
    return Needs(
        {**requests, **devices.requests},
        {**limits, **devices.limits},
        defaults=frozenset(requests.keys() - said),
        accelerator=accelerator,
        shared_memory=memory,
    )


def _within(
    requested: Mapping[str, str], limited: Mapping[str, str], platform: Platform
) -> tuple[dict[str, str], dict[str, str]]:
    """Requests and limits, completed by what the platform gives and cut down to what it allows."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    defaults = {name: getattr(platform.defaults, name) for name in amounts_of(platform.defaults)}
    ceilings = {name: getattr(platform.limits, name) for name in amounts_of(platform.limits)}
    for name in NAMES.values():
        called, ceiling, limit = _KUBERNETES.get(name, name), ceilings.get(name), limited.get(name)
        if limit:
            limits[called] = limit = _least(limit, ceiling)
        asked = requested.get(name) or limit or defaults.get(name)
        if asked and quantity(asked):
            requests[called] = _least(asked, ceiling, limit)
    return requests, limits


def _texts(entries: Iterable[tasks_pb2.Resources.ResourceEntry]) -> dict[str, str]:
    return {NAMES[entry.name]: entry.value for entry in entries if entry.name in NAMES and entry.value}


def _least(amount: str, *others: str | None) -> str:
    return min((amount, *filter(None, others)), key=quantity)


def _overrides_gpu(target: Target) -> bool:
    given = target.node.task_node.overrides.resources
    return any(entry.name == tasks_pb2.Resources.GPU for entry in (*given.requests, *given.limits))


def _extended(target: Target, task: tasks_pb2.TaskTemplate) -> tuple[Accelerator | None, SharedMemory | None]:
    asked = extended_resources(target, task)
    gpu, memory = asked.gpu_accelerator, asked.shared_memory
    which = gpu.WhichOneof("partition_size_value")
    partition = {"unpartitioned": "", "partition_size": gpu.partition_size}[which] if which else None
    accelerator = Accelerator(gpu.device, partition) if gpu.device else None
    if not asked.HasField("shared_memory"):
        return accelerator, None
    return accelerator, SharedMemory(memory.size_limit, memory.mount_path, memory.mount_name)
