"""Outputs that are annotated with an artifact are published in the engine's transaction, with their lineage."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection
from functools import partial

from django.db import transaction
from flyteidl.core import interface_pb2, literals_pb2, tasks_pb2

from artifacts import producers, wire
from artifacts.actions.publish import Source as PublishSource
from artifacts.actions.publish import publish_outputs
from artifacts.exceptions import InvalidArgument
from artifacts.literals import marks, unmarked
from artifacts.places import place_of, places_in
from lineage.actions.record import Use, record_produced
from lineage.models import Via
from scheduler.actions.foreign import written_by
from scheduler.authority import Action
from scheduler.engine.graph import END_NODE, Scope
from scheduler.engine.kinds.array import items_of
from scheduler.engine.state import ROOT, Node
from scheduler.graphs import Source, Target
from scheduler.shell.item_blocks import inputs_of
from scheduler.shell.origins import of_input, of_output
from scheduler.shell.turn import Turn


def publish_node(
    turn: Turn, key: str, task: tasks_pb2.TaskTemplate, outputs: literals_pb2.LiteralMap, *, attempt: int
) -> str:
    """Publish a task's annotated outputs; returns where its outputs, now carrying their versions' ids, lie.

    Raises CausewayError for what the user got wrong (a partition that is not declared, say).
    """
    source = _source(turn, key, task, attempt=attempt)
    origins = turn.rows.origins.get(key)
    inputs = turn.literals.read(turn.uris.inputs(key))
    values = _publish(turn, source, task.interface.outputs, outputs, inputs, partial(of_output, origins))
    uri = turn.uris.outputs(key)
    turn.literals.write(uri, values)
    return uri


def published_by_items(node: Node) -> interface_pb2.VariableMap | None:
    """What the items of a map publish: as the mapped task is registered, or as the first item that ended said."""
    item = node.spec.array.node.target if node.spec.array is not None else None
    if isinstance(item, Target) and item.item_outputs is not None:
        return item.item_outputs
    told = node.memory.items.declared if node.memory.items is not None else ""
    return interface_pb2.VariableMap.FromString(base64.b64decode(told)) if told else None


def learn_declarations(node: Node, outputs: literals_pb2.LiteralMap) -> None:
    """Of the first item that ended: what the process that ran it says of annotations (zygote.mapped). Other items
    have the same task.

    InvalidArgument for an artifact of another project or domain: whether somebody may publish there is asked when a
    task is registered.
    """
    declared = wire.declared_of(outputs.literals)
    for name, variable in declared.variables.items():
        key = variable.artifact_partial_id.artifact_key
        if key.project or key.domain:
            raise InvalidArgument(
                f"output {name!r} is published as {key.name} of {key.project}/{key.domain}: the task has to be "
                "registered for that, as pyflyte register does"
            )
    text = base64.b64encode(declared.SerializeToString()).decode()
    items_of(node).declared = text


def publish_item(
    turn: Turn, node: Node, item: Target, outputs: literals_pb2.LiteralMap, *, index: int, attempt: int
) -> str:
    """Publish what one item of a map wrote, as `publish_node` does: a version of its own, made of what the item took
    in."""
    target, declared = node.spec.target, published_by_items(node)
    if item.task is None or declared is None or not isinstance(target, Target):
        raise ValueError(f"the items of {node.key!r} publish nothing")
    inputs = inputs_of(turn, node, target, index)
    taken: set[int] = set()
    for name, literal in inputs.literals.items():
        ids, complete = marks(literal)
        taken.update(ids, () if complete else of_input(turn.rows.origins.get(node.key), name))
    bare = literals_pb2.LiteralMap(literals={name: _bare(value) for name, value in outputs.literals.items()})
    source = _source(turn, node.key, item.task, attempt=attempt, index=index)
    values = _publish(turn, source, declared, bare, inputs, lambda name: sorted(taken))
    for name, literal in outputs.literals.items():
        if literal.scalar.HasField("union"):
            wrapped = literals_pb2.Literal()
            wrapped.CopyFrom(literal)
            wrapped.metadata.clear()
            wrapped.scalar.union.value.CopyFrom(values.literals[name])
            values.literals[name].CopyFrom(wrapped)
    uri = turn.uris.item_outputs(node.key, index)
    turn.literals.write(uri, values)
    return uri


def _bare(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    """Outputs of items that may fail are optional, and their values wrapped for that."""
    if not literal.scalar.HasField("union"):
        return literal
    inner = literals_pb2.Literal()
    inner.CopyFrom(literal.scalar.union.value)
    for name, value in literal.metadata.items():
        inner.metadata[name] = value
    return inner


def _source(turn: Turn, key: str, task: tasks_pb2.TaskTemplate, *, attempt: int, index: int = -1) -> PublishSource:
    execution = turn.execution
    return PublishSource(
        execution_key=execution.key,
        project=execution.project,
        domain=execution.domain,
        node_id=key,
        attempt=attempt,
        producer=producers.written("task", task.id.name, task.id.version),
        actor=execution.principal,
        index=index,
        is_shadow=execution.shadow_id is not None,
    )


def _publish(
    turn: Turn,
    source: PublishSource,
    variables: interface_pb2.VariableMap,
    outputs: literals_pb2.LiteralMap,
    inputs: literals_pb2.LiteralMap,
    sources_of: Callable[[str], Collection[int]],
) -> literals_pb2.LiteralMap:
    check_publishing(turn, variables, outputs)
    with transaction.atomic():  # one output that is refused leaves none of the others behind
        values, published = publish_outputs(
            outputs=variables, values=outputs, inputs=inputs, source=source, at=turn.now
        )
    uses = [
        Use(
            version_id=version.pk,
            node_id=source.node_id,
            attempt=source.attempt,
            variable=name,
            via=Via.OUTPUT,
            sources=tuple(sources_of(name)),
        )
        for name, version in published
    ]
    record_produced(source.execution_key, uses, at=turn.now)
    return values


def check_publishing(turn: Turn, variables: interface_pb2.VariableMap, outputs: literals_pb2.LiteralMap) -> None:
    """PermissionDenied unless the execution's principal may publish where the annotated outputs go, in other projects,
    and may read what they name of our store: a version opens that to all readers of its artifact.
    """
    execution, authority = turn.execution, turn.authority
    targets = written_by(variables, project=execution.project, domain=execution.domain)
    authority.require(Action.PUBLISH, targets, what=", where an output is published")
    for name, variable in variables.variables.items():
        if variable.HasField("artifact_partial_id") and name in outputs.literals:
            places = {place for part in unmarked(outputs.literals[name]) for place in places_in(part)}
            card = wire.card_of(outputs.literals[name].metadata)
            if card is not None and card.uri and (place := place_of(card.uri)) is not None:
                places.add(place)
            authority.require(Action.READ, sorted(places), what=f", where data of output {name!r} lies")


def publish_workflow(turn: Turn, scope: Scope, outputs: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
    """Publish the annotated outputs of the whole workflow; returns them carrying their versions' ids."""
    described = scope.source
    if not isinstance(described, Source) or not described.publishes or described.identifier is None:
        return outputs
    execution = turn.execution
    source = PublishSource(
        execution_key=execution.key,
        project=execution.project,
        domain=execution.domain,
        node_id=END_NODE,
        attempt=0,
        producer=producers.written("workflow", described.identifier.name, described.identifier.version),
        actor=execution.principal,
        is_shadow=execution.shadow_id is not None,
    )
    inputs = turn.literals.read(execution.inputs_uri)
    check_publishing(turn, described.interface.outputs, outputs)
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
