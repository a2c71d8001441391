"""Does what the engine commands, inside the transaction; answers with events. Unseen outside before commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from flyteidl.core import interface_pb2, literals_pb2, types_pb2

from artifacts.exceptions import CausewayError
from artifacts.literals import check_literal, marks
from lineage.actions.record import Use
from scheduler.engine import commands
from scheduler.engine.events import Collected, Event, Failed, Prepared, Stopped, Unparked
from scheduler.engine.graph import GateType, Kind
from scheduler.engine.state import ROOT, Failure, Node, child_key
from scheduler.graphs import INPUTS, Source, Target, gate_type, promised
from scheduler.models import Gate, GateKind, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.shell import data
from scheduler.shell.children import abort_child, launch_child
from scheduler.shell.gather import decision
from scheduler.shell.items import size_of
from scheduler.shell.maps import collect_items, item_inputs_of, item_inputs_uri
from scheduler.shell.origins import Origins, all_taken, by_variable, of_input
from scheduler.shell.publish import publish_node, publish_workflow
from scheduler.shell.reuse import cache_key, is_cached, item_answer, item_hits, keep, look_up, recover
from scheduler.shell.task_command import Run, command_of, needs_task_file
from scheduler.shell.turn import Turn
from scheduler.task_resources import resources_of

DEFAULT_EXECUTOR = "local"


def perform(turn: Turn, issued: Iterable[object]) -> list[Event]:
    """Carry out the commands in order and return the answers, with the rows they concern loaded."""
    wanted = list(issued)
    _load_sources(turn, [turn.rows[c.key] for c in wanted if isinstance(c, commands.Prepare)])
    events: list[Event] = []
    for command in wanted:
        events += _HANDLERS[type(command)](turn, command)
    turn.rows.load_downstream(event.key for event in events if _may_end(turn, event))
    return events


def _may_end(turn: Turn, event: Event) -> bool:
    return (
        not isinstance(event, Prepared)
        or turn.rows[event.key].spec.kind is not Kind.TASK
        or event.cached
        or event.recovered
    )


def _load_sources(turn: Turn, nodes: list[Node]) -> None:
    """All rows whose outputs these nodes take in, with one query."""
    keys: set[str] = set()
    for node in nodes:
        owner = turn.owner(node)
        keys.update(child_key(owner, source) for source in _sources(node))
    turn.rows.load(keys)


def _sources(node: Node) -> Iterator[str]:
    if isinstance(node.spec.target, Target):
        for binding in node.spec.target.node.inputs:
            yield from (source for source in promised(binding.binding) if source not in INPUTS)


def resolver(turn: Turn, owner: Node, bindings: Iterable[literals_pb2.Binding]) -> data.Resolver:
    sources = {source for binding in bindings for source in promised(binding.binding) if source not in INPUTS}
    uris = {source: turn.rows.output_uris.get(child_key(owner, source), "") for source in sources}
    described = owner.body.source if owner.body is not None else None
    aliases = described.aliases if isinstance(described, Source) else {}
    known = turn.rows.origins
    origins = {source: known[key] for source in sources if (key := child_key(owner, source)) in known}
    dynamic = isinstance(owner.spec.target, Target) and owner.spec.target.task is not None
    return data.Resolver(
        turn.inputs_uri(owner),
        uris,
        {key: dict(value) for key, value in aliases.items()},
        inputs_origins=known.get(owner.key),
        output_origins=origins,
        constants=all_taken(known.get(owner.key)) if dynamic else (),
        authority=turn.authority,
    )


def _prepare(turn: Turn, command: commands.Prepare) -> Iterator[Event]:
    node = turn.rows[command.key]
    target = node.spec.target
    if not isinstance(target, Target):
        yield Failed(node.key, Failure("BadSpecification", f"node {node.key} has no target"))
        return
    owner = turn.owner(node)
    sources = resolver(turn, owner, target.node.inputs)
    try:
        item = item_inputs_of(turn, node)
        inputs = item or sources.resolve(target.node.inputs)
        data.check_offloaded(inputs.literals.values(), turn.authority)
        if owner.body is not None and node.spec is owner.body.failure_node and owner.failure is not None:
            add_error(inputs, target, owner.failure)
        uri = turn.uris.inputs(node.key)
        data.write(uri, inputs)
        size = size_of(target.node.array_node, inputs) if node.spec.kind is Kind.ARRAY else 0
    except data.Unresolved as error:
        yield Failed(node.key, error.failure())
        return
    turn.set(node.key, {"input_uri": uri})
    uses, origins = (sources.uses, sources.origins) if item is None else _item_origins(turn, node, item)
    if origins:
        turn.rows.origins[node.key] = Origins(taken=by_variable(origins))
    if recover(turn, node):
        yield Prepared(node.key, recovered=True)
        return
    turn.consumed += [
        Use(version_id=version, node_id=node.key, variable=name) for name in sorted(uses) for version in uses[name]
    ]
    if target.task is not None and (key := cache_key(turn, target, inputs)):
        answer = look_up(turn, node, target, key)
        if answer is not None:
            yield answer
            return
    if node.spec.body is not None:
        turn.rows.expect_new_children(node, node.spec.body)
    hits = tuple(item_hits(turn, node, size)) if node.spec.kind is Kind.ARRAY else ()
    given = dict(inputs.literals) if node.spec.kind is Kind.BRANCH else None
    yield Prepared(node.key, inputs=given, size=size, hits=hits)


def _item_origins(
    turn: Turn, node: Node, inputs: literals_pb2.LiteralMap
) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """What the values that an item of a map takes in are, and what flowed into them: by variable."""
    uses: dict[str, set[int]] = {}
    origins: dict[str, set[int]] = {}
    for name, literal in inputs.literals.items():
        ids, complete = marks(literal)
        rest = () if complete else of_input(turn.rows.origins.get(node.parent or ROOT), name)
        if ids:
            uses[name] = ids
        if ids or rest:
            origins[name] = ids.union(rest)
    return uses, origins


def add_error(inputs: literals_pb2.LiteralMap, target: Target, failure: Failure) -> None:
    """A failure node learns what happened through its input of the error type, if it has one."""
    error = types_pb2.Error(failed_node_id=failure.node, message=failure.message)
    for name, variable in inputs_of(target).items():
        variants = [variable.type, *(variable.type.union_type.variants)]
        given = [variant for variant in variants if variant.simple == types_pb2.ERROR]
        if not given:
            continue
        literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(error=error))
        if variable.type.HasField("union_type"):
            union = literals_pb2.Union(value=literal, type=given[0])
            literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))
        inputs.literals[name].CopyFrom(literal)


def inputs_of(target: Target) -> Mapping[str, interface_pb2.Variable]:
    if target.task is not None:
        return target.task.interface.inputs.variables
    return target.interface.inputs.variables if target.interface is not None else {}


def _submit(turn: Turn, command: commands.Submit) -> Iterator[Event]:
    node = turn.rows[command.key]
    target = node.spec.array.node.target if node.spec.array is not None else node.spec.target
    if not isinstance(target, Target) or target.task is None:
        yield Failed(node.key, Failure("BadSpecification", f"node {node.key} refers to a task that is not compiled in"))
        return
    if command.index >= 0 and (answer := item_answer(turn, node, target, command.index)) is not None:
        yield answer
        return
    execution = turn.execution
    number = command.attempt
    inputs_uri, first = item_inputs_uri(turn, node.key, command.index) if command.index >= 0 else ("", 0)
    run = Run(
        execution_id=execution.pk,
        project=execution.project,
        domain=execution.domain,
        name=execution.name,
        spec=turn.spec,
        uris=turn.uris,
        key=node.key,
        attempt=number,
        load_inputs=partial(data.read, turn.uris.inputs(node.key)),
        index=command.index,
        inputs_uri=inputs_uri,
        first=first,
    )
    try:
        details, resources = command_of(run, target), resources_of(target, turn.task_resources)
    except CausewayError as error:
        yield Failed(node.key, Failure("BadTaskSpecification", error.message))
        return
    if needs_task_file(target):
        _write_task_file(turn, node, target)
    interruptible = command.interruptible
    if turn.spec.HasField("interruptible"):  # said at launch, for all nodes
        interruptible = turn.spec.interruptible.value and command.system_failures < node.spec.retry.system
    attempt = TaskExecution(
        execution_id=execution.pk,
        task_id=target.task_pk,
        attempt=number,
        index=command.index,
        name=run.attempt_name[:255],
        phase=AttemptPhase.QUEUED,
        executor=DEFAULT_EXECUTOR,
        command=details,
        resources=resources,
        interruptible=interruptible,
        created_at=turn.now,
        updated_at=turn.now,
    )
    turn.attempts.append((node.key, attempt))


def _write_task_file(turn: Turn, node: Node, target: Target) -> None:
    from artifacts.store import store

    if target.task is not None:
        store().put(f"{turn.uris.node(node.key)}/task.pb", target.task.SerializeToString())


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
    if gate.decided_at is None:
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
        chosen = parent.memory.get("chosen")  # a branch hands on what its arm wrote
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
    data.write(uri, outputs)
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


_HANDLERS: dict[type, Callable[..., Iterator[Event]]] = {
    commands.Prepare: _prepare,
    commands.Submit: _submit,
    commands.Cancel: _cancel,
    commands.OpenGate: _open_gate,
    commands.Collect: _collect,
    commands.StopChildren: _stop_children,
    commands.FreeSlots: _free_slots,
    commands.LaunchChild: launch_child,
    commands.AbortChild: abort_child,
}
