"""What ran it: image, flytekit, code and place of the attempts behind executions and versions, side by side.

An image's name stands for Python and packages: that of an ImageSpec carries a hash of all it asks for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q
from flyteidl.admin import task_pb2

from artifacts.models import ArtifactVersion
from scheduler.models import Execution, NodeExecution, NodeKind, Task, TaskExecution

NODES = 200  # of all that is compared
_WORKS = (NodeKind.TASK, NodeKind.ARRAY)
Facts = dict[str, Any]


def environments_of(executions: Sequence[Execution]) -> list[Facts]:
    """Of the tasks of each, in their last attempts; of a map's its first item. Two queries."""
    attempts = _last_attempts(NodeExecution.objects.filter(execution__in=[one.pk for one in executions]))
    by_execution: dict[int, list[TaskExecution]] = defaultdict(list)
    for attempt in attempts:
        by_execution[attempt.execution_id].append(attempt)
    return [_facts(by_execution[execution.pk]) for execution in executions]


def environments_behind(versions: Sequence[ArtifactVersion], may_read: Callable[[str, str], bool]) -> list[Facts]:
    """Of the attempt that published each; of a workflow's output, of all its tasks. Nothing of what came from outside
    or of an execution that may not be read. Two queries.
    """
    places = {one.pk: one.execution_key.split("/") for one in versions if one.execution_key.count("/") == 2}
    wanted = Q(pk__in=[])
    for project, domain, name in places.values():
        if may_read(project, domain):
            wanted |= Q(execution__project=project, execution__domain=domain, execution__name=name)
    attempts = _last_attempts(NodeExecution.objects.filter(wanted))
    by_key: dict[str, list[TaskExecution]] = defaultdict(list)
    for attempt in attempts:
        by_key[attempt.node.execution.key].append(attempt)
    return [_facts(_publishers(version, by_key[version.execution_key])) for version in versions]


def _publishers(version: ArtifactVersion, attempts: Sequence[TaskExecution]) -> Sequence[TaskExecution]:
    return [one for one in attempts if one.node.node_id == version.node_id] or attempts


def _last_attempts(nodes: Any) -> list[TaskExecution]:
    ids = list(nodes.filter(kind__in=_WORKS).order_by("id").values_list("pk", flat=True)[:NODES])
    rows = TaskExecution.objects.filter(node__in=ids, index__lte=0, task__isnull=False)
    rows = rows.select_related("task", "node__execution").order_by("node", "index", "-attempt").distinct("node")
    columns = ("execution_id", "executor", "cluster", "command", "resources", "interruptible")
    return list(rows.only(*columns, *_TASK, *_NODE))


_TASK = ("task__name", "task__version", "task__spec")
_NODE = ("node__node_id", *(f"node__execution__{part}" for part in ("project", "domain", "name")))


def _facts(attempts: Iterable[TaskExecution]) -> Facts:
    """By name, of all attempts together."""
    found: dict[str, set[str]] = defaultdict(set)
    for attempt in attempts:
        if attempt.task is not None:
            for name, said in _of_attempt(attempt, attempt.task):
                found[name].add(said)
    return {name: ", ".join(sorted(said)) for name, said in found.items()}


def _of_attempt(attempt: TaskExecution, task: Task) -> Iterable[tuple[str, str]]:
    template = task_pb2.TaskSpec.FromString(bytes(task.spec)).template
    if image := attempt.command.get("image") or template.container.image:
        yield "image", image
    if version := template.metadata.runtime.version:
        yield "flytekit", version
    yield "version of the code", task.version
    yield "ran on", f"{attempt.executor} {attempt.cluster}".strip()
    yield from ((name, f"{value:g}") for name, value in _asked(attempt.resources))
    yield "may be interrupted", "yes" if attempt.interruptible else "no"


def _asked(resources: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    for name in ("cpu", "memory", "gpu"):
        if value := resources.get(name):
            yield ("memory in MiB", value / 2**20) if name == "memory" else (name, value)
