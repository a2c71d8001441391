"""Task types that ask for several processes, which an operator of a cluster starts, and what is said of them here.

Run as one process, such a task would succeed and have done something else: a training of one instead of four, a Spark
session without its configuration. Where no executor starts several, placement refuses it; on a cluster each is a job of
its operator (scheduler.executors.kubernetes.jobs). What asks for a single
process runs anywhere. The forms of `custom` are what flytekit's plugins 1.16.31 send, and for version 0 of a type what
older ones sent; a Struct has no whole numbers, and zeros and empty messages are left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from flyteidl.core import tasks_pb2
from google.protobuf import json_format, struct_pb2

from artifacts.exceptions import InvalidArgument
from scheduler import pods
from scheduler.quantities import quantity

M = TypeVar("M", tasks_pb2.Resources, tasks_pb2.K8sPod)
PYTORCH, TENSORFLOW, MPI, RAY, SPARK, DASK = "pytorch", "tensorflow", "mpi", "ray", "spark", "dask"
JOBS = frozenset({PYTORCH, TENSORFLOW, MPI, RAY, SPARK, DASK})  # types that operators of clusters start
MOST_REPLICAS = 1000  # of one job: what asks for more has more likely a zero too many
_ENDLESS = {
    "RESTART_POLICY_ALWAYS": "a replica that ended well would be started again, and the job could never end",
    "RESTART_POLICY_EXIT_CODE": "its operator starts a replica again that was killed, as often as that happens",
}
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
    if task.type != PYTORCH or "elasticConfig" in task.custom.fields or asks_for(task):
        return {}
    return {"MASTER_ADDR": "localhost", "MASTER_PORT": "0", "WORLD_SIZE": "1", "RANK": "0"}


def resources_in_custom(task: tasks_pb2.TaskTemplate) -> tasks_pb2.Resources | None:
    """What the plugin's own words ask for, for the one process that runs: they go before the container's. Of several
    `roles_of` tells.
    """
    if asks_for(task):
        return None
    custom = json_format.MessageToDict(task.custom) if task.type in (PYTORCH, RAY) else {}
    if task.type == PYTORCH:
        for role in ("masterReplicas", "workerReplicas"):
            if told := part(part(custom, role), "resources"):
                return _parsed(told, tasks_pb2.Resources())
    if task.type == RAY and (pod := part(part(part(custom, "rayCluster"), "headGroupSpec"), "k8sPod")):
        return pods.resources_of_pod(_parsed(pod, tasks_pb2.K8sPod()))
    return None


@dataclass(frozen=True)
class Role:
    """Replicas of a job that do the same. `resources`: None where they ask for what the task's container asks for."""

    name: str  # as its operator calls it, in small letters: `master`, `ps`; of a group of Ray's workers the group's
    count: int
    resources: tasks_pb2.Resources | None = None
    image: str = ""  # empty: the task's


def roles_of(task: tasks_pb2.TaskTemplate) -> tuple[Role, ...]:
    """Which processes a job of the task has; none of a task that is one process. InvalidArgument for a custom part that
    cannot be read.
    """
    if task.type not in JOBS or not asks_for(task):
        return ()
    return _roles(task.type, task.custom.SerializeToString(deterministic=True))


@lru_cache(maxsize=512)
def _roles(kind: str, custom: bytes) -> tuple[Role, ...]:
    told = json_format.MessageToDict(struct_pb2.Struct.FromString(custom))
    return tuple(role for role in _ROLES_OF[kind](told) if role.count)


def check(task: tasks_pb2.TaskTemplate) -> None:
    """InvalidArgument, in one sentence, for a job that could never run or never end."""
    if task.type not in JOBS:
        return
    custom = json_format.MessageToDict(task.custom)
    for wrong in _wrong(task, custom):
        raise InvalidArgument(f"task {task.id.name}: {wrong}")


def _wrong(task: tasks_pb2.TaskTemplate, custom: Mapping[str, Any]) -> Iterator[str]:
    for role, number in _numbers(task.type, custom):
        if not isinstance(number, (int, float)) or number != number // 1 or number < 0:
            yield f"the number of its {role} replicas is {number}; it is a whole number, 0 or more"
    for name in _GROUPS:
        policy = str(part(custom, name).get("restartPolicy") or "")
        if policy in _ENDLESS:
            said = policy.removeprefix("RESTART_POLICY_")
            yield f"its {name} have the restart policy {said}: {_ENDLESS[policy]}; ask for ON_FAILURE or NEVER"
    elastic = part(custom, "elasticConfig")
    if elastic and (count(elastic.get("minReplicas")) or 1) > (count(elastic.get("maxReplicas")) or 1):
        yield (
            f"it asks for at least {count(elastic.get('minReplicas'))} nodes and at most "
            f"{count(elastic.get('maxReplicas'))}: the least is not above the most"
        )
    roles = roles_of(task)
    if (total := sum(role.count for role in roles)) > MOST_REPLICAS:
        yield f"it asks for {total:,} replicas in all; a job may have {MOST_REPLICAS:,}"
    yield from _lacking(task.type, {role.name for role in roles}, custom)


def _numbers(kind: str, custom: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each number of replicas that is said, with its role in words."""
    for role, names in _ROLES.items():
        for name in names:
            told = custom.get(name)
            if isinstance(told, Mapping) and "replicas" in told:
                yield role, told["replicas"]
            elif told is not None and not isinstance(told, Mapping):
                yield role, told
    if kind == DASK and (number := part(custom, "workers").get("numberOfWorkers")) is not None:
        yield "worker", number
    conf = part(custom, "sparkConf") if kind == SPARK else {}
    for name in ("spark.executor.instances", "spark.dynamicAllocation.maxExecutors"):
        if told := conf.get(name):
            yield f"executor ({name})", _number(told)
    for group in _groups(custom) if kind == RAY else ():
        for name in ("replicas", "minReplicas", "maxReplicas"):
            if group.get(name) is not None:
                yield f"group {group.get('groupName')}'s ({name})", group[name]


def _number(told: object) -> object:
    """Of a configuration, whose numbers are texts."""
    try:
        return float(str(told))
    except ValueError:
        return told


def _lacking(kind: str, roles: set[str], custom: Mapping[str, Any]) -> Iterator[str]:
    """Replicas without which the rest does nothing, or never ends."""
    if kind == MPI and "worker" not in roles:
        yield "it asks for no worker: mpirun starts its processes on workers, so one at least is needed"
    if kind == TENSORFLOW and not roles & {"chief", "worker"} and (roles or _has_group(custom)):
        yield "it asks for neither a chief nor a worker: nothing would ever end the job"
    if kind == SPARK and "executor" not in roles:
        yield "it asks for no executor: a Spark driver waits for one for ever"
    if kind == DASK and part(custom, "workers") and "worker" not in roles:
        yield "it asks for no worker: a Dask cluster without workers computes nothing"
    if kind == RAY and not custom.get("rayCluster", {}).get("enableAutoscaling"):
        for group in _groups(custom):
            if not count(group.get("replicas")) and not count(group.get("minReplicas")):
                yield f"its group {group.get('groupName')} has no replicas, and autoscaling is off: leave the group out"


def _has_group(custom: Mapping[str, Any]) -> bool:
    return any(name in custom for name in _GROUPS)


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
    groups = _groups(custom)
    number = sum(count(group.get("replicas")) or count(group.get("minReplicas")) for group in groups)
    return f"a Ray head and {number or 'its'} worker{'' if number == 1 else 's'}" if groups else ""


def _array(custom: Mapping[str, Any]) -> str:
    return "one process for each item, in the form of map tasks that flytekit 1.12 and older send"


def _training_roles(custom: Mapping[str, Any]) -> Iterator[Role]:
    """A PyTorch job that is not elastic has a master, whether or not it says so (version 0 does not)."""
    if elastic := part(custom, "elasticConfig"):
        told = part(custom, "workerReplicas")
        yield _role("worker", count(elastic.get("maxReplicas")) or count(told) or 1, told)
        return
    yield _role("master", count(custom.get("masterReplicas")) or 1, part(custom, "masterReplicas"))
    yield _role("worker", _said("worker", custom), part(custom, "workerReplicas"))


def _tensorflow_roles(custom: Mapping[str, Any]) -> Iterator[Role]:
    for role, name in (
        ("chief", "chief"),
        ("ps", "parameter server"),
        ("worker", "worker"),
        ("evaluator", "evaluator"),
    ):
        yield _role(role, _said(name, custom), part(custom, f"{role}Replicas"))


def _mpi_roles(custom: Mapping[str, Any]) -> Iterator[Role]:
    """There is one launcher, whatever is said of it: more would each start the whole."""
    yield _role("launcher", 1, part(custom, "launcherReplicas"))
    yield _role("worker", _said("worker", custom), part(custom, "workerReplicas"))


def _ray_roles(custom: Mapping[str, Any]) -> Iterator[Role]:
    """Of a group that grows as many as it may have."""
    cluster = part(custom, "rayCluster")
    yield _pod_role("head", 1, part(cluster, "headGroupSpec"))
    for group in _groups(custom):
        number = max(count(group.get(name)) for name in ("replicas", "minReplicas", "maxReplicas"))
        yield _pod_role(str(group.get("groupName") or "worker"), number, group)


def _spark_roles(custom: Mapping[str, Any]) -> Iterator[Role]:
    conf = part(custom, "sparkConf")
    yield Role("driver", 1, _spark_resources(conf, "driver"))
    yield Role("executor", spark_executors(conf), _spark_resources(conf, "executor"))


def spark_executors(conf: Mapping[str, Any]) -> int:
    """How many a job of this configuration has, at most; Spark's own default is two."""
    if str(conf.get("spark.dynamicAllocation.enabled", "")).lower() == "true":
        told = str(conf.get("spark.dynamicAllocation.maxExecutors", ""))
    else:
        told = str(conf.get("spark.executor.instances", ""))
    return int(told) if told.isascii() and told.isdigit() else 2


def _spark_resources(conf: Mapping[str, Any], role: str) -> tasks_pb2.Resources:
    """Spark's pods ask for what its configuration says; without a word for a core and 1 GiB and what the JVM needs."""
    made = tasks_pb2.Resources()
    cores = str(conf.get(f"spark.kubernetes.{role}.request.cores") or conf.get(f"spark.{role}.cores") or "1")
    memory = str(conf.get(f"spark.{role}.memory") or "1g").lower().removesuffix("b")
    heap = quantity(memory[:-1] + {"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"}.get(memory[-1:].lower(), memory[-1:]))
    whole = heap + max(384 * 2**20, heap * 0.4)  # spark.kubernetes.memoryOverheadFactor of Python programs
    made.requests.add(name=tasks_pb2.Resources.CPU, value=cores)
    made.requests.add(name=tasks_pb2.Resources.MEMORY, value=str(int(whole)))
    if gpus := str(conf.get(f"spark.{role}.resource.gpu.amount") or ""):
        made.requests.add(name=tasks_pb2.Resources.GPU, value=gpus)
    return made


def _dask_roles(custom: Mapping[str, Any]) -> Iterator[Role]:
    """The runner is the task's own container."""
    yield Role("runner", 1)
    yield _role("scheduler", 1, part(custom, "scheduler"))
    workers = part(custom, "workers")
    yield _role("worker", count(workers.get("numberOfWorkers")), workers)


def _role(name: str, count: int, told: Mapping[str, Any]) -> Role:
    asked = part(told, "resources")
    resources = _parsed(asked, tasks_pb2.Resources()) if asked.get("requests") or asked.get("limits") else None
    return Role(name, count, resources, str(told.get("image") or ""))


def _pod_role(name: str, count: int, group: Mapping[str, Any]) -> Role:
    given = part(group, "k8sPod")
    resources = pods.resources_of_pod(_parsed(given, tasks_pb2.K8sPod())) if given else None
    return Role(name, count, resources if resources is not None and resources.ByteSize() else None)


def _said(role: str, custom: Mapping[str, Any]) -> int:
    return max(count(custom.get(name)) for name in _ROLES[role])


def _groups(custom: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = part(custom, "rayCluster").get("workerGroupSpec") or []
    return [one for one in found if isinstance(one, Mapping)]


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
_GROUPS = tuple(f"{role}Replicas" for role in ("master", "worker", "launcher", "chief", "ps", "evaluator"))
_ROLES_OF: dict[str, Callable[[Mapping[str, Any]], Iterator[Role]]] = {
    PYTORCH: _training_roles,
    TENSORFLOW: _tensorflow_roles,
    MPI: _mpi_roles,
    RAY: _ray_roles,
    SPARK: _spark_roles,
    DASK: _dask_roles,
}
_TYPES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    PYTORCH: _training,
    TENSORFLOW: _training,
    MPI: _mpi,
    SPARK: _spark,
    "databricks": _spark,
    DASK: _dask,
    RAY: _ray,
    **dict.fromkeys(_ARRAYS, _array),
}
_WAYS_OUT = {
    PYTORCH: "; Elastic(nnodes=1) with the number of processes you need runs on one machine",
    TENSORFLOW: "; a plain task, or one replica in all, runs on one machine",
    MPI: "; a plain task runs on one machine",
    SPARK: "; a plain task that builds its own local SparkSession runs on one machine",
    DASK: "; a plain task that starts a dask.distributed.LocalCluster runs on one machine",
    RAY: "; without worker_node_config it runs on one machine",
    "container_array": "; map_task of a newer flytekit runs here",
}
