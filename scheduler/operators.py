"""Task types that ask for several processes, which an operator of a cluster would start, and what is said of them here.

Run as one process, such a task would succeed and have done something else: a training of one instead of four, a Spark
session without its configuration. Where no executor starts several, placement refuses it. What asks for a single
process runs anywhere. The forms of `custom` are what flytekit's plugins 1.16.31 send, and for version 0 of a type what
older ones sent; a Struct has no whole numbers, and zeros and empty messages are left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flyteidl.core import tasks_pb2
from google.protobuf import json_format

from artifacts.exceptions import InvalidArgument
from scheduler import pods

M = TypeVar("M", tasks_pb2.Resources, tasks_pb2.K8sPod)
PYTORCH, RAY = "pytorch", "ray"
_ROLES = {
    "master": ("masterReplicas",),
    "launcher": ("launcherReplicas", "numLauncherReplicas"),
    "chief": ("chiefReplicas",),
    "parameter server": ("psReplicas",),
    "evaluator": ("evaluatorReplicas",),
    "worker": ("workerReplicas", "workers", "numWorkers"),  # the last ones: version 0
}


def asks_for(task: tasks_pb2.TaskTemplate, *, item: bool = False) -> str:
    """Which processes beyond one the task asks for, in words; empty if one does what it means. `item`: of a map."""
    if task.type not in _TYPES or (item and task.type in _ARRAYS):
        return ""
    return _TYPES[task.type](json_format.MessageToDict(task.custom))


def way_out(task: tasks_pb2.TaskTemplate) -> str:
    """The end of a sentence that refuses such a task: what runs on one machine instead."""
    return _WAYS_OUT.get(task.type, "")


def environment(task: tasks_pb2.TaskTemplate) -> dict[str, str]:
    """What the training operator tells the only process of a `pytorch` task, so that torch can begin its group of one.

    Port 0 has torch choose a free one. An elastic task begins its group by itself.
    """
    if task.type != PYTORCH or "elasticConfig" in task.custom.fields:
        return {}
    return {"MASTER_ADDR": "localhost", "MASTER_PORT": "0", "WORLD_SIZE": "1", "RANK": "0"}


def resources_in_custom(task: tasks_pb2.TaskTemplate) -> tasks_pb2.Resources | None:
    """What the plugin's own words ask for, for the one process that runs: they go before the container's."""
    custom = json_format.MessageToDict(task.custom) if task.type in (PYTORCH, RAY) else {}
    if task.type == PYTORCH:
        for role in ("masterReplicas", "workerReplicas"):
            if told := part(part(custom, role), "resources"):
                return _parsed(told, tasks_pb2.Resources())
    if task.type == RAY and (pod := part(part(part(custom, "rayCluster"), "headGroupSpec"), "k8sPod")):
        return pods.resources_of_pod(_parsed(pod, tasks_pb2.K8sPod()))
    return None


def _parsed(told: Mapping[str, Any], message: M) -> M:
    """InvalidArgument where a plugin's words are not what they should be."""
    try:
        return json_format.ParseDict(dict(told), message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise InvalidArgument(f"the task's custom part cannot be read: {error}") from None


def _training(custom: Mapping[str, Any]) -> str:
    """Replicas by role, of PyTorch, TensorFlow; elastic PyTorch counts nodes."""
    if elastic := part(custom, "elasticConfig"):
        least, most = count(elastic.get("minReplicas")) or 1, count(elastic.get("maxReplicas")) or 1
        return "" if most <= 1 else f"{most if least == most else f'{least} to {most}'} nodes"
    counts = {role: max(count(custom.get(name)) for name in names) for role, names in _ROLES.items()}
    if sum(counts.values()) <= 1:
        return ""
    return _listed([f"{number} {role}{'s' if number > 1 else ''}" for role, number in counts.items() if number])


def _mpi(custom: Mapping[str, Any]) -> str:
    return _training(custom) or "processes that mpirun starts"


def _spark(custom: Mapping[str, Any]) -> str:
    return "a Spark driver and executors"


def _dask(custom: Mapping[str, Any]) -> str:
    number = count(part(custom, "workers").get("numberOfWorkers"))
    return f"a Dask scheduler and {number or 'its'} worker{'' if number == 1 else 's'}"


def _ray(custom: Mapping[str, Any]) -> str:
    groups = part(custom, "rayCluster").get("workerGroupSpec") or []
    number = sum(count(group.get("replicas")) or count(group.get("minReplicas")) for group in groups)
    return f"a Ray head and {number or 'its'} worker{'' if number == 1 else 's'}" if groups else ""


def _array(custom: Mapping[str, Any]) -> str:
    return "one process for each item, in the form of map tasks that flytekit 1.12 and older send"


def part(custom: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Empty where it is left out, or is no message."""
    found = custom.get(name)
    return found if isinstance(found, Mapping) else {}


def count(value: object) -> int:
    """A number of replicas: of a group's description or, in version 0 of the types, the number itself."""
    if isinstance(value, Mapping):
        return count(value.get("replicas"))
    return int(value) if isinstance(value, (int, float)) else 0


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


_ARRAYS = frozenset({"container_array", "aws-batch"})
_TYPES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    PYTORCH: _training,
    "tensorflow": _training,
    "mpi": _mpi,
    "spark": _spark,
    "databricks": _spark,
    "dask": _dask,
    RAY: _ray,
    **dict.fromkeys(_ARRAYS, _array),
}
_WAYS_OUT = {
    PYTORCH: "; Elastic(nnodes=1) with the number of processes you need runs on one machine",
    "tensorflow": "; a plain task, or one replica in all, runs on one machine",
    "mpi": "; a plain task runs on one machine",
    "spark": "; a plain task that builds its own local SparkSession runs on one machine",
    "dask": "; a plain task that starts a dask.distributed.LocalCluster runs on one machine",
    RAY: "; without worker_node_config it runs on one machine",
    "container_array": "; map_task of a newer flytekit runs here",
}
