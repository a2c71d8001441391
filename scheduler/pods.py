"""Where a task's container is: in the task itself or, with a pod template, in the pod spec that the task brings.

A pod spec arrives as a Struct in Kubernetes' own JSON (`resources.requests`, `env`, `initContainers`); it is read here
and nowhere else. Of a task with a pod template flytekit leaves `container` empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flyteidl.core import literals_pb2, tasks_pb2
from google.protobuf import json_format, struct_pb2

from artifacts.exceptions import InvalidArgument

DEFAULT_PRIMARY = "primary"  # flytekit's, where a template names none
PRIMARY_KEY = "primary_container_name"  # in the task's config
_RESOURCES = {
    "cpu": tasks_pb2.Resources.CPU,
    "memory": tasks_pb2.Resources.MEMORY,
    "ephemeral-storage": tasks_pb2.Resources.EPHEMERAL_STORAGE,
    "gpu": tasks_pb2.Resources.GPU,  # as flytekit writes it
}


@dataclass(frozen=True)
class PodParts:
    """What a pod runs besides the primary container: containers all along with it, and those that go before."""

    beside: tuple[tasks_pb2.Resources, ...] = ()
    before: tuple[tasks_pb2.Resources, ...] = ()
    overhead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Devices:
    """Resources whose names have a domain, as `nvidia.com/mig-1g.5gb`, and how many of them."""

    requests: dict[str, str]
    limits: dict[str, str]

    def without_gpus(self) -> Devices:
        rest = [
            {name: one for name, one in found.items() if not is_gpu(name)} for found in (self.requests, self.limits)
        ]
        return Devices(*rest)


def has_pod(task: tasks_pb2.TaskTemplate) -> bool:
    return bool(task.WhichOneof("target") == "k8s_pod")


def container_of(task: tasks_pb2.TaskTemplate) -> tasks_pb2.Container:
    """The container that runs the task's program, with its resources and data config.

    An empty one for a task that has none (a connector's). InvalidArgument for a pod without the primary container.
    """
    if not has_pod(task):
        return task.container
    found = _primary(task)
    if found is None:
        raise InvalidArgument(f"the pod of task {task.id.name} has no container {primary_name(task)!r}")
    made = tasks_pb2.Container(
        image=_text(found.get("image")),
        command=[_text(word) for word in _listed(found.get("command"))],
        args=[_text(word) for word in _listed(found.get("args"))],
        resources=_resources(found),
        env=_variables(found),
    )
    if task.k8s_pod.HasField("data_config"):  # of a raw container with a pod template
        made.data_config.CopyFrom(task.k8s_pod.data_config)
    return made


def container_instead(pod: tasks_pb2.K8sPod) -> tasks_pb2.Container:
    """Of the pod that a node has in its task's stead: the image and the variables of the container that runs the
    program; empty where there is none. Its words are not the task's: flytekit leaves the fetching of the code out.
    """
    name = pod.primary_container_name or DEFAULT_PRIMARY
    containers = _objects(_parsed(pod.pod_spec.SerializeToString()).get("containers"))
    found = next((one for one in containers if one.get("name") == name), {})
    return tasks_pb2.Container(image=_text(found.get("image")), env=_variables(found))


def described(task: tasks_pb2.TaskTemplate) -> tasks_pb2.Container:
    """As `container_of`, for those who only show it: empty where there is none."""
    try:
        return container_of(task)
    except InvalidArgument:
        return tasks_pb2.Container()


def parts_of(task: tasks_pb2.TaskTemplate) -> PodParts:
    """The other containers of the task's pod; none for a task without a pod template.

    Init containers that Kubernetes restarts (`restartPolicy: Always`) run beside the primary one: they are sidecars.
    """
    if not has_pod(task):
        return PodParts()
    spec, primary = _spec(task), primary_name(task)
    init = _objects(spec.get("initContainers"))
    beside = [one for one in _objects(spec.get("containers")) if one.get("name") != primary]
    beside += [one for one in init if one.get("restartPolicy") == "Always"]
    before = [one for one in init if one.get("restartPolicy") != "Always"]
    return PodParts(tuple(map(_resources, beside)), tuple(map(_resources, before)), _object(spec.get("overhead")))


def resources_of_pod(pod: tasks_pb2.K8sPod) -> tasks_pb2.Resources | None:
    """What the first container of a pod asks for that a plugin describes (the head of a Ray cluster)."""
    containers = _objects(json_format.MessageToDict(pod.pod_spec).get("containers"))
    return _resources(containers[0]) if containers else None


def unknown_resources(task: tasks_pb2.TaskTemplate) -> list[str]:
    """Names of what the primary container asks for and Flyte has no word for, such as `google.com/tpu`."""
    found = _primary(task) if has_pod(task) else None
    return sorted({name for _, name, _ in _amounts(found or {}) if "/" in name and _known(name) is None})


def devices_of(task: tasks_pb2.TaskTemplate) -> Devices:
    """Those of the primary container."""
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    primary = _primary(task) if has_pod(task) else None
    for kind, name, amount in _amounts(primary or {}):
        if "/" in name:
            found[kind][name] = amount
    return Devices(found["requests"], found["limits"])


def is_gpu(name: str) -> bool:
    """Whether that is one in the words of Kubernetes."""
    return bool(_known(name) == tasks_pb2.Resources.GPU)


def _spec(task: tasks_pb2.TaskTemplate) -> Mapping[str, Any]:
    return _parsed(task.k8s_pod.pod_spec.SerializeToString())


@lru_cache(maxsize=256)
def _parsed(spec: bytes) -> Mapping[str, Any]:
    """Asked for several times by each attempt, and thousands of items of a map have the same. Nobody changes it."""
    parsed: dict[str, Any] = json_format.MessageToDict(struct_pb2.Struct.FromString(spec))
    return parsed


def primary_name(task: tasks_pb2.TaskTemplate) -> str:
    """Of the container that runs the task's program."""
    return dict(task.config).get(PRIMARY_KEY) or task.k8s_pod.primary_container_name or DEFAULT_PRIMARY


def _primary(task: tasks_pb2.TaskTemplate) -> dict[str, Any] | None:
    name = primary_name(task)
    return next((one for one in _objects(_spec(task).get("containers")) if one.get("name") == name), None)


def _variables(container: Mapping[str, Any]) -> list[literals_pb2.KeyValuePair]:
    return [
        literals_pb2.KeyValuePair(key=_text(entry.get("name")), value=_text(entry.get("value")))
        for entry in _objects(container.get("env"))
        if "valueFrom" not in entry  # what a cluster would look up: better unset than empty
    ]


def _resources(container: Mapping[str, Any]) -> tasks_pb2.Resources:
    made = tasks_pb2.Resources()
    for kind, name, amount in _amounts(container):
        if (known := _known(name)) is not None:
            (made.requests if kind == "requests" else made.limits).add(name=known, value=amount)
    return made


def _amounts(container: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """("requests" or "limits", name, quantity). A number in the Struct is a double: 2.0 is the text `2`."""
    for kind in ("requests", "limits"):
        for name, amount in _object(_object(container.get("resources")).get(kind)).items():
            yield kind, name, _text(amount)


def _known(name: str) -> Any:
    """The member of Resources.ResourceName, or None."""
    if name.endswith("/gpu") or name.startswith("nvidia.com/mig-"):  # a slice of a GPU is a device, too
        return tasks_pb2.Resources.GPU
    return _RESOURCES.get(name)


def _object(value: object) -> Mapping[str, Any]:
    """What a pod spec says is the client's: it may be anything."""
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in _listed(value) if isinstance(one, dict)]


def _text(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return "" if value is None else str(value)
