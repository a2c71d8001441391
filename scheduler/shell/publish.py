"""Outputs that are annotated with an artifact are published in the engine's transaction, with their lineage."""

from __future__ import annotations

from django.db import transaction
from flyteidl.core import literals_pb2, tasks_pb2

from artifacts.actions.publish import Source, publish_outputs
from lineage.actions.record import Use, record_produced
from lineage.models import Via
from scheduler.engine.graph import END_NODE, Scope
from scheduler.engine.state import ROOT
from scheduler.graphs import Source as ScopeSource
from scheduler.shell import data
from scheduler.shell.origins import of_output
from scheduler.shell.turn import Turn


def publish_node(
    turn: Turn, key: str, task: tasks_pb2.TaskTemplate, outputs: literals_pb2.LiteralMap, *, attempt: int
) -> str:
    """Publish a task's annotated outputs; returns where its outputs, now carrying their versions' ids, lie.

    Raises CausewayError for what the user got wrong (a partition that is not declared, say).
    """
    execution = turn.execution
    source = Source(
        execution_key=execution.key,
        project=execution.project,
        domain=execution.domain,
        node_id=key,
        attempt=attempt,
        producer=f"task:{task.id.name}@{task.id.version}",
        actor=execution.principal,
    )
    inputs = data.read(turn.uris.inputs(key))
    with transaction.atomic():  # one output that is refused leaves none of the others behind
        values, published = publish_outputs(
            outputs=task.interface.outputs, values=outputs, inputs=inputs, source=source, at=turn.now
        )
    origins = turn.rows.origins.get(key)
    uses = [
        Use(
            version_id=version.pk,
            node_id=key,
            attempt=attempt,
            variable=name,
            via=Via.OUTPUT,
            sources=tuple(of_output(origins, name)),
        )
        for name, version in published
    ]
    record_produced(execution.key, uses, at=turn.now)
    uri = turn.uris.outputs(key)
    data.write(uri, values)
    return uri


def publish_workflow(turn: Turn, scope: Scope, outputs: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
    """Publish the annotated outputs of the whole workflow; returns them carrying their versions' ids."""
    described = scope.source
    if not isinstance(described, ScopeSource) or not described.publishes or described.identifier is None:
        return outputs
    execution = turn.execution
    source = Source(
        execution_key=execution.key,
        project=execution.project,
        domain=execution.domain,
        node_id=END_NODE,
        attempt=0,
        producer=f"workflow:{described.identifier.name}@{described.identifier.version}",
        actor=execution.principal,
    )
    inputs = data.read(execution.inputs_uri)
    with transaction.atomic():
        values, published = publish_outputs(
            outputs=described.interface.outputs, values=outputs, inputs=inputs, source=source, at=turn.now
        )
    origins = turn.rows.origins.get(ROOT)
    uses = [
        Use(version_id=version.pk, variable=name, via=Via.OUTPUT, sources=tuple(of_output(origins, name)))
        for name, version in published
    ]
    record_produced(execution.key, uses, at=turn.now)
    return values
