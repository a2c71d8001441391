"""Does what the engine commands, inside the transaction; answers with events. Unseen outside before commit."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from flyteidl.core import literals_pb2

from artifacts.exceptions import CausewayError
from artifacts.literals import check_literal
from artifacts.store import store
from scheduler.attempts import wire
from scheduler.engine import commands
from scheduler.engine.commands import Command
from scheduler.engine.events import Collected, Event, Failed, Prepared, Stopped, Unparked
from scheduler.engine.graph import GateType, Kind
from scheduler.engine.state import ROOT, Failure, Node, child_key
from scheduler.executors import registry
from scheduler.graphs import INPUTS, Source, Target, gate_type, promised
from scheduler.models import Gate, GateKind, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.placement import NoExecutor, NoPlace
from scheduler.shell import data
from scheduler.shell.attempt_spec import amounts_of, spec_of
from scheduler.shell.children import abort_child, launch_child
from scheduler.shell.gather import counting, decision
from scheduler.shell.laning import lane_for
from scheduler.shell.maps import collect_items, item_inputs_uri
from scheduler.shell.origins import Origins, by_variable
from scheduler.shell.placing import place_of
from scheduler.shell.prepare import Asked, prepare, resolver
from scheduler.shell.publish import publish_node, publish_workflow
from scheduler.shell.reuse import Want, ask_for_items, is_cached, keep
from scheduler.shell.task_command import Run, needs_task_file
from scheduler.shell.turn import Turn


def perform(turn: Turn, issued: Sequence[Command]) -> Generator[list[Want], Asked, list[Event]]:
    """Carry out the commands in order and return the answers, with the rows they concern loaded. Yields what is wanted
    of the cache, as `prepare` does.
    """
    at_hand = AtHand(
        prepared=(yield from prepare(turn, [each.key for each in issued if isinstance(each, commands.Prepare)])),
        items=ask_for_items(turn, [each for each in issued if isinstance(each, commands.Submit)]),
    )
    events = [event for command in issued for event in _answer(turn, command, at_hand)]
    turn.rows.load_downstream(event.key for event in events if _may_end(turn, event))
    return events


@dataclass(frozen=True)
class AtHand:
    """What was found out for all commands of a kind at once."""

    prepared: Mapping[str, Event]  # by the node's key
    items: Mapping[tuple[str, int], Event]  # of items of maps that need not run now, by the node's key and the number


def _answer(turn: Turn, command: Command, at_hand: AtHand) -> Iterable[Event]:
    match command:
        case commands.Prepare():
            return (at_hand.prepared[command.key],)
        case commands.Submit():
            known = at_hand.items.get((command.key, command.index))
            return _submit(turn, command) if known is None else (known,)
        case commands.Cancel():
            return _cancel(turn, command)
        case commands.OpenGate():
            return _open_gate(turn, command)
        case commands.LaunchChild():
            return launch_child(turn, command)
        case commands.AbortChild():
            return abort_child(turn, command)
        case commands.Collect():
            return _collect(turn, command)
        case commands.StopChildren():
            return _stop_children(turn, command)
        case commands.FreeSlots():
            return _free_slots(turn, command)
    return commands.unknown(command)


def _may_end(turn: Turn, event: Event) -> bool:
    return (
        not isinstance(event, Prepared)
        or turn.rows[event.key].spec.kind is not Kind.TASK
        or event.cached
        or event.recovered
    )


def _submit(turn: Turn, command: commands.Submit) -> Iterator[Event]:
    node = turn.rows[command.key]
    target = node.spec.array.node.target if node.spec.array is not None else node.spec.target
    if not isinstance(target, Target) or target.task is None:
        yield Failed(node.key, Failure("BadSpecification", f"node {node.key} refers to a task that is not compiled in"))
        return
    try:
        place = place_of(turn, target.task, item=command.index >= 0)
    except NoPlace as error:
        code = "NoExecutor" if isinstance(error, NoExecutor) else "BadTaskSpecification"
        yield Failed(node.key, Failure(code, error.message))
        return
    execution = turn.execution
    number = command.attempt
    interruptible = command.interruptible
    if turn.spec.HasField("interruptible"):  # said at launch, for all nodes
        interruptible = turn.spec.interruptible.value and command.system_failures < node.spec.retry.system
    served = place.executor == registry.CONNECTORS  # by a service, which reads one item's inputs and the template
    inputs_uri, first = item_inputs_uri(turn, node.key, command.index, alone=served) if command.index >= 0 else ("", 0)
    run = Run(
        execution_id=execution.pk,
        project=execution.project,
        domain=execution.domain,
        name=execution.name,
        spec=turn.spec,
        uris=turn.uris,
        key=node.key,
        attempt=number,
        load_inputs=partial(turn.literals.read, turn.uris.inputs(node.key)),
        index=command.index,
        inputs_uri=inputs_uri,
        first=first,
        workflow=turn.workflow_name,
        user=execution.principal,
        interruptible=interruptible,
    )
    try:
        platform = bytes(execution.task_resources or b"")
        spec, resources = spec_of(run, target, platform), amounts_of(target, platform)
    except CausewayError as error:
        yield Failed(node.key, Failure("BadTaskSpecification", error.message))
        return
    if served:
        spec = replace(spec, addresses=replace(spec.addresses, template=turn.uris.task_file(node.key)))
    if served or needs_task_file(target):
        _write_task_file(turn, node, target)
    attempt = TaskExecution(
        execution_id=execution.pk,
        task_id=target.task_pk,
        attempt=number,
        index=command.index,
        name=spec.identity.name,
        phase=AttemptPhase.QUEUED,
        executor=place.executor,
        cluster=place.cluster,
        command=wire.to_json(spec),
        resources=resources,
        priority=turn.execution.priority,
        lane=lane_for(turn, target, platform),
        interruptible=interruptible,
        created_at=turn.now,
        updated_at=turn.now,
    )
    turn.attempts.append((node.key, attempt))


def _write_task_file(turn: Turn, node: Node, target: Target) -> None:
    if target.task is not None:
        store().put(turn.uris.task_file(node.key), target.task.SerializeToString())


def _cancel(turn: Turn, command: commands.Cancel) -> Iterator[Event]:
    turn.attempts = [
        (key, attempt)
        for key, attempt in turn.attempts
        if key != command.key or command.index not in (-1, attempt.index)
    ]
    turn.cancels.append((command.key, command.index))
    return iter(())


def _open_gate(turn: Turn, command: commands.OpenGate) -> Iterator[Event]:
    """A signal may have been set before the node was reached; then the gate is decided at once."""
    node = turn.rows[command.key]
    spec, target = node.spec.gate, node.spec.target
    if spec is None or not isinstance(target, Target):
        return
    opened = {gate.signal_id: gate for _, gate in turn.gates}  # by another node in this turn
    gate = opened.get(spec.signal_id)
    if gate is None:
        gate = Gate.objects.select_for_update().filter(execution=turn.execution, signal_id=spec.signal_id).first()
    if gate is None:
        gate = Gate(execution=turn.execution, signal_id=spec.signal_id, created_at=turn.now)
    expected = gate_type(target)
    gate.kind = GateKind.APPROVE if spec.type is GateType.APPROVE else GateKind.SIGNAL
    gate.literal_type = expected.SerializeToString()
    gate.waiting_since = turn.now
    gate.expires_at = command.expires_at
    turn.gates.append((node.key, gate))
    if gate.decided_at is None or not counting(gate):
        return
    try:  # whoever set it before anything asked for it chose the type
        check_literal(literals_pb2.Literal.FromString(bytes(gate.value or b"")), expected, name=gate.signal_id)
    except CausewayError as error:
        yield Failed(node.key, Failure("BadSignalValue", error.message))
        return
    yield decision(turn, node.key, gate)


def _collect(turn: Turn, command: commands.Collect) -> Iterator[Event]:
    parent = turn.rows[command.key]
    if parent.spec.kind is Kind.ARRAY:
        yield from collect_items(turn, command)
        return
    source = parent.body.source if parent.body is not None else None
    if not isinstance(source, Source) or source.identifier is None:
        chosen = parent.memory.chosen  # a branch hands on what its arm wrote
        if chosen:
            turn.set(parent.key, {"output_uri": turn.rows.output_uris.get(child_key(parent, chosen), "")})
            if (origins := turn.rows.origins.get(child_key(parent, chosen))) is not None:
                turn.rows.origins[parent.key] = origins
            else:
                turn.rows.origins.pop(parent.key, None)
        yield Collected(parent.key)
        return
    turn.rows.load(
        {
            child_key(parent, name)
            for binding in source.outputs
            for name in promised(binding.binding)
            if name not in INPUTS
        }
    )
    sources = resolver(turn, parent, source.outputs)
    try:
        outputs = sources.resolve(source.outputs)
        if sources.origins or parent.key in turn.rows.origins:
            entry = turn.rows.origins.setdefault(parent.key, Origins())
            entry["given"] = by_variable(sources.origins)
        if parent.key == ROOT:
            outputs = publish_workflow(turn, turn.scope, outputs)
        elif isinstance(parent.spec.target, Target) and parent.spec.target.publishes and parent.spec.target.task:
            task = parent.spec.target.task  # of a dynamic task
            uri = publish_node(turn, parent.key, task, outputs, attempt=parent.attempt)
            turn.set(parent.key, {"output_uri": uri})
            if is_cached(parent.spec.target):
                keep(turn, parent.key, parent.spec.target, uri)
            yield Collected(parent.key)
            return
    except data.Unresolved as error:
        yield Failed(parent.key, Failure(error.code, f"workflow outputs: {error}"))
        return
    except CausewayError as error:
        yield Failed(parent.key, Failure(type(error).__name__, error.message))
        return
    uri = turn.uris.outputs(parent.key)
    turn.literals.write(uri, outputs)
    if parent.key == ROOT:
        turn.outputs_uri = uri
    else:
        turn.set(parent.key, {"output_uri": uri})
        if isinstance(parent.spec.target, Target) and is_cached(parent.spec.target):
            keep(turn, parent.key, parent.spec.target, uri)
    yield Collected(parent.key)


def _stop_children(turn: Turn, command: commands.StopChildren) -> Iterator[Event]:
    yield Stopped(command.key, active=turn.rows.active_below(command.key))


def _free_slots(turn: Turn, command: commands.FreeSlots) -> Iterator[Event]:
    for key in turn.rows.parked(command.count):
        yield Unparked(key)
