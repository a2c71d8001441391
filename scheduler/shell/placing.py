"""Where an attempt goes: gathers what scheduler.placement wants to know of it."""

from __future__ import annotations

from django.conf import settings
from flyteidl.core import tasks_pb2

from scheduler import operators, pods
from scheduler.executors import registry
from scheduler.placement import Asked, Place, place
from scheduler.shell.turn import Turn

# Which connectors there are nobody asks for these: programs of a user's own, which no service could know of.
PLAIN_TYPES = frozenset({"python-task", "raw-container", "echo"})


def place_of(turn: Turn, task: tasks_pb2.TaskTemplate, *, item: bool = False) -> Place:
    """`item`: of a map. Raises NoPlace."""
    execution, spec = turn.execution, turn.spec
    asked = Asked(
        seed=str(execution.pk),
        project=execution.project,
        domain=execution.domain,
        task=task.id.name,
        task_type=task.type,
        version=task.task_type_version,
        label=spec.execution_cluster_label.value,
        pool=spec.cluster_assignment.cluster_pool_name,
        processes=operators.asks_for(task, item=item),
        way_out=operators.way_out(task),
        resources=tuple(pods.unknown_resources(task)),
        runs_program=task.type != "echo",
        own_program=task.WhichOneof("target") in ("container", "k8s_pod"),
    )
    machine_first = settings.CAUSEWAY_PLACEMENT == "machine"
    services = turn.services if task.type not in PLAIN_TYPES else ()
    return place(asked, registry.kinds(), turn.clusters, services, machine_first=machine_first)
