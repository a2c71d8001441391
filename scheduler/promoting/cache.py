"""The cache goes with a promoted version: who computes the same in the place it was promoted to finds it.

The entry there has the key that the task would have there, and outputs that are the promoted version's.
"""

from __future__ import annotations

from urllib.parse import unquote

from django.utils import timezone
from flyteidl.admin import task_pb2

from artifacts.exceptions import CausewayError
from artifacts.literals import carry
from artifacts.models import ArtifactVersion
from artifacts.store import store
from scheduler.models import CacheEntry, NodeExecution, Task
from scheduler.shell import data
from scheduler.shell.reuse import entry_key

TASK = "task:"


def carry_cache(source: ArtifactVersion, target: ArtifactVersion) -> str:
    """The key of the entry made in the target's place; empty where the source was not computed by a cached task, or it
    cannot be told what that depended on.
    """
    node = _node_of(source)
    task = _task_of(source)
    if node is None or task is None or not node.cache_key or not node.output_uri:
        return ""
    template = task_pb2.TaskClosure.FromString(bytes(task.closure)).compiled_task.template
    try:
        inputs, outputs = data.read(node.input_uri), data.read(node.output_uri)
    except CausewayError:  # they were removed: nothing to hand on
        return ""
    version = template.metadata.discovery_version
    if entry_key(template, version, inputs, place=(task.project, task.domain)) != node.cache_key:
        return ""  # a node with a word of its own about the cache, or an item of a map
    there = target.artifact.project, target.artifact.domain
    template.id.project, template.id.domain = there
    key = entry_key(template, version, inputs, place=there)
    if source.output in outputs.literals:
        outputs.literals[source.output].CopyFrom(carry(outputs.literals[source.output], target.pk))
    uri = store().join(store().root, "metadata", *there, "promoted", str(target.pk), "outputs.pb")
    data.write(uri, outputs)
    CacheEntry.objects.get_or_create(
        key=key,
        defaults={
            "project": there[0],
            "domain": there[1],
            "task_name": task.name,
            "cache_version": version,
            "output_uri": uri,
            "created_at": timezone.now(),
        },
    )
    return key


def _node_of(source: ArtifactVersion) -> NodeExecution | None:
    if source.execution_key.count("/") != 2:
        return None
    project, domain, name = source.execution_key.split("/")
    rows = NodeExecution.objects.filter(
        execution__project=project, execution__domain=domain, execution__name=name, node_id=source.node_id
    )
    return rows.first()


def _task_of(source: ArtifactVersion) -> Task | None:
    """The task that made it, as registered where it ran."""
    if not source.producer.startswith(TASK) or source.execution_key.count("/") != 2:
        return None
    name, _, version = source.producer.removeprefix(TASK).partition("@")
    project, domain, _ = source.execution_key.split("/")
    return Task.objects.filter(project=project, domain=domain, name=unquote(name), version=version).first()
