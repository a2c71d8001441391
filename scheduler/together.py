"""Task types of several processes as one machine runs them: what the task's process is told in CAUSEWAY_TOGETHER.

As the plug-ins run on a laptop: Spark in local mode with the configuration that spark-submit would give it, a Dask
scheduler with its workers, a Ray node, `mpirun`, and of PyTorch and TensorFlow as many processes as there are replicas.
How they are started is told in executors/local/zygote/together.py; the forms of `custom` in scheduler/operators.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from flyteidl.core import tasks_pb2
from google.protobuf import json_format

from artifacts.exceptions import InvalidArgument
from scheduler import quantities
from scheduler.operators import PYTORCH, RAY, asks_for, count, part

VARIABLE = "CAUSEWAY_TOGETHER"
KEEP = "CAUSEWAY_REUSE_CLUSTER"  # in a task's environment: seconds that its cluster waits for the next such task
KEPT = frozenset({"spark", "dask", RAY})
LONGEST = 86_400
MOST = 64  # processes, slots or cores of one task on one machine
ON_ONE_MACHINE = frozenset({PYTORCH, "tensorflow", "mpi", "spark", "dask", RAY})
_ROLES = {"chief": "chiefReplicas", "ps": "psReplicas", "worker": "workerReplicas", "evaluator": "evaluatorReplicas"}

Form = dict[str, Any]


def environment(task: tasks_pb2.TaskTemplate, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Empty where one plain process does what the task means. InvalidArgument for more than MOST processes, and for a
    `KEEP` in the task's own `env` that says no time, or of a task that has no cluster.
    """
    keep = _kept(task, (env or {}).get("CAUSEWAY_REUSE_CLUSTER", ""))
    if task.type not in _FORMS:
        return {}
    form = _FORMS[task.type](json_format.MessageToDict(task.custom), bool(asks_for(task)))
    if not form:
        return {}
    if (number := form.get("count", 1)) > MOST:
        raise InvalidArgument(f"{task.id.name} asks for {number} processes; one machine runs at most {MOST} of a task")
    return {VARIABLE: json.dumps({**form, "keep": keep} if keep else form, sort_keys=True)}


def _kept(task: tasks_pb2.TaskTemplate, told: str) -> int:
    if not told:
        return 0
    if task.type not in KEPT:
        raise InvalidArgument(f"{task.id.name}: {KEEP} is for tasks of Spark, Dask and Ray, not of type {task.type}")
    if not (told.isascii() and told.isdigit() and 0 < int(told[:6]) <= LONGEST):
        raise InvalidArgument(f"{task.id.name}: {KEEP} is {told[:40]!r}; it is whole seconds, 1 to {LONGEST:,}")
    return int(told)


def _pytorch(custom: Mapping[str, Any], several: bool) -> Form:
    if not several:
        return {}
    if elastic := part(custom, "elasticConfig"):
        return {"form": "elastic", "count": count(elastic.get("maxReplicas"))}
    workers = count(custom.get("workerReplicas")) or count(custom.get("workers"))
    return {"form": "torch", "count": workers + 1}  # the master is one of them whatever is said of it


def _tensorflow(custom: Mapping[str, Any], several: bool) -> Form:
    roles = {role: number for role, name in _ROLES.items() if (number := count(custom.get(name)))}
    roles = roles or {"worker": count(custom.get("workers")), "ps": count(custom.get("psReplicas"))}
    return {"form": "tensorflow", "roles": roles, "count": sum(roles.values())} if several else {}


def _mpi(custom: Mapping[str, Any], several: bool) -> Form:
    return {"form": "mpi"}


def _spark(custom: Mapping[str, Any], several: bool) -> Form:
    conf = {name: str(value) for name, value in part(custom, "sparkConf").items()}
    hadoop = part(custom, "hadoopConf").items()
    conf |= {name if name.startswith("spark.") else f"spark.hadoop.{name}": str(value) for name, value in hadoop}
    slots = _whole(conf.get("spark.executor.instances"), 2) * _whole(conf.get("spark.executor.cores"), 1)
    return {"form": "spark", "conf": conf, "slots": min(slots, MOST)}


def _dask(custom: Mapping[str, Any], several: bool) -> Form:
    workers = part(custom, "workers")
    asked = _asked(part(workers, "resources"))
    form = {"form": "dask", "count": count(workers.get("numberOfWorkers")) or 1, "threads": _cores(asked.get("CPU"))}
    return {**form, "memory": asked["MEMORY"]} if "MEMORY" in asked else form


def _ray(custom: Mapping[str, Any], several: bool) -> Form:
    """One node with a core for the head and for each worker, or as many as `num-cpus` of its start says."""
    cluster = part(custom, "rayCluster")
    groups = cluster.get("workerGroupSpec") or []
    cores = _start_cores(part(cluster, "headGroupSpec"))
    cores += sum((count(one.get("replicas")) or count(one.get("minReplicas"))) * _start_cores(one) for one in groups)
    return {"form": "ray", "count": cores}


def _start_cores(group: Mapping[str, Any]) -> int:
    return _whole(part(group, "rayStartParams").get("num-cpus"), 1)


def _asked(resources: Mapping[str, Any]) -> dict[str, str]:
    """By the names of core.Resources; what is asked for before what is the most."""
    found: dict[str, str] = {}
    for entry in [*(resources.get("limits") or []), *(resources.get("requests") or [])]:
        found[str(entry.get("name"))] = str(entry.get("value"))
    return found


def _cores(quantity: str | None) -> int:
    try:
        return max(1, int(quantities.quantity(quantity))) if quantity else 1
    except InvalidArgument:
        return 1


def _whole(text: object, otherwise: int) -> int:
    """A positive whole number that a configuration says as text."""
    told = str(text if text is not None else "")
    return int(told) if told.isascii() and told.isdigit() and 0 < int(told) <= 10 * MOST else otherwise


_FORMS: dict[str, Callable[[Mapping[str, Any], bool], Form]] = {
    PYTORCH: _pytorch,
    "tensorflow": _tensorflow,
    "mpi": _mpi,
    "spark": _spark,
    "dask": _dask,
    RAY: _ray,
}
