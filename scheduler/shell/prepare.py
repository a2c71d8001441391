"""Nodes that are about to start: their inputs are written, and it is found out whether their outputs exist already.

All nodes of a turn that become ready together are asked about together: former executions and the cache answer for all
of them with one query each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from flyteidl.core import interface_pb2, literals_pb2, types_pb2

from artifacts.literals import marks
from lineage.actions.record import Use
from scheduler.engine.events import Event, Failed, Prepared
from scheduler.engine.graph import GateType, Kind
from scheduler.engine.state import ROOT, Failure, Node, child_key
from scheduler.graphs import INPUTS, Source, Target, promised
from scheduler.shell import data
from scheduler.shell.at_hand import write_reused
from scheduler.shell.fingerprints import fingerprint
from scheduler.shell.items import size_of
from scheduler.shell.maps import item_inputs_of
from scheduler.shell.origins import Origins, all_taken, by_variable, of_input
from scheduler.shell.ready import Ready
from scheduler.shell.recovery import hand_over, recovered_items
from scheduler.shell.reuse import Want, cache_key, cached_items
from scheduler.shell.turn import Turn

Asked: TypeAlias = Mapping[tuple[str, int], Event]  # what reuse.look_up answers


def prepare(turn: Turn, keys: Sequence[str]) -> Generator[list[Want], Asked, dict[str, Event]]:
    """Prepared, Held or Failed for each of the nodes. Yields what it wants of the cache, to be sent the answers."""
    nodes = [turn.rows[key] for key in keys]
    _load_sources(turn, nodes)
    answers: dict[str, Event] = {}
    ready: list[Ready] = []
    for node in nodes:
        found = _write_inputs(turn, node)
        if isinstance(found, Ready):
            ready.append(found)
        else:
            answers[node.key] = found
    recovered = hand_over(turn, ready)
    answers |= {key: Prepared(key, recovered=True) for key in recovered}
    rest = [one for one in ready if one.key not in recovered]
    turn.consumed += [use for one in rest for use in _uses(one)]
    wants = [Want(one.node, one.target, one.cache_key) for one in rest if one.cache_key]
    cached = (yield wants) if wants else {}
    for one in rest:
        answers[one.key] = cached.get((one.key, -1)) or _start(turn, one)
    return answers


def _load_sources(turn: Turn, nodes: list[Node]) -> None:
    """All rows whose outputs these nodes take in, with one query."""
    keys: set[str] = set()
    for node in nodes:
        owner = turn.owner(node)
        keys.update(child_key(owner, source) for source in _sources(node))
        if node.spec.kind is Kind.GATE:
            keys.update(_before(turn, node))
    turn.rows.load(keys)


def _sources(node: Node) -> Iterator[str]:
    if isinstance(node.spec.target, Target):
        for binding in node.spec.target.node.inputs:
            yield from (source for source in promised(binding.binding) if source not in INPUTS)


def _before(turn: Turn, node: Node) -> Iterator[str]:
    """Keys of the nodes that have to end before the gate is reached: what people have seen who decide about it."""
    while node.parent is not None:
        parent = turn.rows[node.parent]
        yield from (child_key(parent, name) for name in node.spec.upstream if name not in INPUTS)
        if parent.spec.kind is not Kind.BRANCH:
            return
        node = parent


def _write_inputs(turn: Turn, node: Node) -> Ready | Failed:
    target = node.spec.target
    if not isinstance(target, Target):
        return Failed(node.key, Failure("BadSpecification", f"node {node.key} has no target"))
    owner = turn.owner(node)
    sources = resolver(turn, owner, target.node.inputs)
    try:
        item = item_inputs_of(turn, node)
        inputs = item or sources.resolve(target.node.inputs)
        data.check_offloaded(inputs.literals.values(), turn.authority)
        if owner.body is not None and node.spec is owner.body.failure_node and owner.failure is not None:
            add_error(inputs, target, owner.failure)
        size = size_of(target.node.array_node, inputs) if node.spec.kind is Kind.ARRAY else 0
    except data.Unresolved as error:
        return Failed(node.key, error.failure())
    uri = turn.uris.inputs(node.key)
    content = turn.literals.write(uri, inputs)
    print_ = fingerprint(node.spec, content, _about(turn, node, owner) if node.spec.kind is Kind.GATE else ())
    turn.set(node.key, {"input_uri": uri, "fingerprint": print_})
    uses, origins = (sources.uses, sources.origins) if item is None else _item_origins(turn, node, item)
    if origins:
        turn.rows.origins[node.key] = Origins(taken=by_variable(origins))
    key = cache_key(turn, target, inputs) if target.task is not None else ""
    return Ready(node, target, inputs, content, print_, size=size, uses=uses, cache_key=key)


def _about(turn: Turn, node: Node, owner: Node) -> Iterator[str]:
    """What a decision is about, beside the value that is approved: what had been done before it was asked for, and, if
    a value is asked for or time has to pass, for which inputs of the workflow around the gate.
    """
    yield from sorted(turn.rows.output_uris.get(key, "") for key in _before(turn, node))
    if node.spec.gate is not None and node.spec.gate.type is not GateType.APPROVE:
        yield turn.rows.fingerprints.get(owner.key) or data.hashed(
            turn.literals.read(turn.inputs_uri(owner)).SerializeToString(deterministic=True)
        )


def resolver(turn: Turn, owner: Node, bindings: Iterable[literals_pb2.Binding]) -> data.Resolver:
    sources = {source for binding in bindings for source in promised(binding.binding) if source not in INPUTS}
    uris = {source: turn.rows.output_uris.get(child_key(owner, source), "") for source in sources}
    described = owner.body.source if owner.body is not None else None
    aliases = described.aliases if isinstance(described, Source) else {}
    known = turn.rows.origins
    origins = {source: known[key] for source in sources if (key := child_key(owner, source)) in known}
    dynamic = isinstance(owner.spec.target, Target) and owner.spec.target.task is not None
    return data.Resolver(
        turn.literals,
        turn.inputs_uri(owner),
        uris,
        {key: dict(value) for key, value in aliases.items()},
        inputs_origins=known.get(owner.key),
        output_origins=origins,
        constants=all_taken(known.get(owner.key)) if dynamic else (),
        authority=turn.authority,
    )


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


def _uses(one: Ready) -> Iterator[Use]:
    for name in sorted(one.uses):
        for version in one.uses[name]:
            yield Use(version_id=version, node_id=one.key, variable=name)


def _start(turn: Turn, one: Ready) -> Prepared:
    node = one.node
    if node.spec.body is not None:
        turn.rows.expect_new_children(node, node.spec.body)
    given = dict(one.inputs.literals) if node.spec.kind is Kind.BRANCH else None
    hits = _items_at_hand(turn, one) if node.spec.kind is Kind.ARRAY else ()
    return Prepared(node.key, inputs=given, size=one.size, hits=hits)


def _items_at_hand(turn: Turn, one: Ready) -> tuple[int, ...]:
    """Those items of a map that need not run. Where their outputs lie is written down: by the time they are collected
    the cache may have forgotten them.
    """
    cached, may_be_cached = cached_items(turn, one)
    found = cached | recovered_items(turn, one, one.size)
    if found or may_be_cached:
        write_reused(turn.uris.reused_items(one.key), found)
    return tuple(sorted(found))
