"""The data that flows along edges: bindings resolved against the outputs of nodes, read once and written once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import json_format, struct_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError, NotFound
from artifacts.literals import marks, without_marks
from artifacts.places import place_of
from artifacts.store import store
from scheduler.authority import Authority
from scheduler.engine.state import Failure
from scheduler.shell.origins import Origins, of_input, of_output

SMALL = 64 * 1024  # literal maps up to this size are kept in memory between evaluations


class Unresolved(Exception):
    """A binding or output that cannot be had; the message names it. The user's error."""

    def __init__(self, message: str, code: str = "BindingResolutionError") -> None:
        super().__init__(message)
        self.code = code

    def failure(self) -> Failure:
        return Failure(self.code, str(self))


@lru_cache(maxsize=512)
def _small(uri: str) -> literals_pb2.LiteralMap:
    data = store().get(uri)
    if len(data) > SMALL:
        raise _TooLargeToKeep(data)
    return literals_pb2.LiteralMap.FromString(data)


class _TooLargeToKeep(Exception):
    """Carries what was read past the cache."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def read(uri: str) -> literals_pb2.LiteralMap:
    """What was written at the URI, not to be changed. NotFound if nothing was."""
    if not uri:
        return literals_pb2.LiteralMap()
    try:
        return _small(uri)
    except _TooLargeToKeep as large:
        return literals_pb2.LiteralMap.FromString(large.data)


def write(uri: str, values: literals_pb2.LiteralMap) -> None:
    store().put(uri, values.SerializeToString(deterministic=True))


def read_outputs(uri: str, node: str) -> literals_pb2.LiteralMap:
    """Outputs of a node or attempt; Unresolved if it wrote none, or not what it should."""
    try:
        return read(uri)
    except NotFound:
        raise Unresolved(f"node {node} wrote no outputs at {uri}", "OutputsNotFound") from None
    except DecodeError:
        raise Unresolved(f"what node {node} wrote at {uri} is no literal map", "OutputsUnreadable") from None


def without_claims(values: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
    """What a user's code wrote, without what it claims of where the values came from; itself if it claims nothing."""
    bare = {name: without_marks(literal) for name, literal in values.literals.items()}
    if all(bare[name] is literal for name, literal in values.literals.items()):
        return values
    return literals_pb2.LiteralMap(literals=bare)


class Resolver:
    """Resolves the bindings of one scope. `inputs` are the scope's; `outputs_of` finds the URI of a node's outputs.

    `inputs_origins` and `output_origins` (by node) are what flowed into them, `constants` what flowed into the scalars
    among the bindings: those of a dynamic task's workflow were computed by the task. What resolve() finds out by the
    way: `uses`, the versions that the values, or what they were taken out of, are; `origins`, all that flowed into
    them. Both by variable.
    """

    def __init__(
        self,
        inputs_uri: str,
        output_uris: dict[str, str],
        aliases: dict[str, dict[str, str]],
        *,
        inputs_origins: Origins | None = None,
        output_origins: Mapping[str, Origins] | None = None,
        constants: Collection[int] = (),
        authority: Authority,
    ) -> None:
        self.inputs_uri = inputs_uri
        self.output_uris = output_uris
        self.aliases = aliases
        self.inputs_origins = inputs_origins
        self.output_origins = output_origins or {}
        self.constants = constants
        self.authority = authority
        self.uses: dict[str, set[int]] = {}
        self.origins: dict[str, set[int]] = {}
        self._at = ""

    def resolve(self, bindings: Iterable[literals_pb2.Binding]) -> literals_pb2.LiteralMap:
        values = literals_pb2.LiteralMap()
        for binding in bindings:
            self._at = binding.var
            try:
                values.literals[binding.var].CopyFrom(self.literal(binding.binding))
            except Unresolved as error:
                raise Unresolved(f"input {binding.var!r}: {error}", error.code) from None
            except CausewayError as error:
                raise Unresolved(f"input {binding.var!r}: {error.message}") from None
        return values

    def literal(self, binding: literals_pb2.BindingData) -> literals_pb2.Literal:
        match binding.WhichOneof("value"):
            case "scalar":
                if self.constants:
                    self.origins.setdefault(self._at, set()).update(self.constants)
                return without_marks(literals_pb2.Literal(scalar=binding.scalar))
            case "promise":
                return self._promise(binding.promise)
            case "collection":
                items = [self.literal(item) for item in binding.collection.bindings]
                return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
            case "map":
                values = {key: self.literal(item) for key, item in binding.map.bindings.items()}
                return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=values))
            case "offloaded_metadata":
                return literals_pb2.Literal(offloaded_metadata=binding.offloaded_metadata)
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))

    def _promise(self, promise: types_pb2.OutputReference) -> literals_pb2.Literal:
        if promise.node_id in ("", "start-node", "globals"):
            values, where = read(self.inputs_uri), "the workflow's inputs"
        else:
            uri = self.output_uris.get(promise.node_id)
            if not uri:
                raise Unresolved(f"node {promise.node_id} has no outputs")
            values, where = read_outputs(uri, promise.node_id), f"the outputs of node {promise.node_id}"
        name = self.aliases.get(promise.node_id, {}).get(promise.var, promise.var)
        if name not in values.literals:
            known = ", ".join(sorted(values.literals)) or "none"
            raise Unresolved(f"{where} have no value {promise.var!r} (there are: {known})")
        literal = values.literals[name]
        self._note(promise.node_id, name, literal)
        return follow(literal, promise.attr_path, self.authority) if promise.attr_path else literal

    def _note(self, node_id: str, name: str, literal: literals_pb2.Literal) -> None:
        ids, complete = marks(literal)
        if ids:
            self.uses.setdefault(self._at, set()).update(ids)
        if not complete:
            if node_id in ("", "start-node", "globals"):
                ids.update(of_input(self.inputs_origins, name))
            else:
                ids.update(of_output(self.output_origins.get(node_id), name))
        if ids:
            self.origins.setdefault(self._at, set()).update(ids)


def check_offloaded(literals: Iterable[literals_pb2.Literal], authority: Authority) -> None:
    """Unresolved if one of them lies, offloaded, where the principal of the execution may not read."""
    for literal in literals:
        if literal.WhichOneof("value") == "offloaded_metadata":
            place = place_of(literal.offloaded_metadata.uri)
            if place is not None and not authority.reads(*place):
                raise Unresolved(f"{authority.principal} may not read the value at {literal.offloaded_metadata.uri}")


def load_offloaded(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    if literal.WhichOneof("value") != "offloaded_metadata":
        return literal
    return without_marks(literals_pb2.Literal.FromString(store().get(literal.offloaded_metadata.uri)))


def follow(
    literal: literals_pb2.Literal, path: Iterable[types_pb2.PromiseAttribute], authority: Authority
) -> literals_pb2.Literal:
    """The value at an attribute path: into maps and lists of literals first, then into a dataclass or a dict."""
    steps = [getattr(step, step.WhichOneof("value") or "string_value") for step in path]
    while steps:
        check_offloaded([literal], authority)
        literal = load_offloaded(literal)
        if literal.WhichOneof("value") == "scalar" and literal.scalar.WhichOneof("value") == "union":
            literal = literal.scalar.union.value
            continue
        match literal.WhichOneof("value"):
            case "map":
                literal = _step(literal.map.literals, steps.pop(0))
            case "collection":
                literal = _step(literal.collection.literals, steps.pop(0))
            case _:
                return _inside(literal, steps)
    return literal


def _step(container: Any, step: str | int) -> Any:
    try:
        if isinstance(step, int) and step < 0:
            raise IndexError
        return container[step] if not hasattr(container, "keys") or step in container else _missing(container, step)
    except (IndexError, KeyError, TypeError):
        return _missing(container, step)


def _missing(container: Any, step: str | int) -> Any:
    if hasattr(container, "keys"):
        raise Unresolved(f"there is no {step!r} (there are: {', '.join(sorted(map(str, container)))})")
    if isinstance(container, str | int | float | bool | None):
        raise Unresolved(f"{type(container).__name__} has no attribute {step!r}")
    raise Unresolved(f"index {step!r} is outside a list of {len(container)}")


def _inside(literal: literals_pb2.Literal, steps: list[str | int]) -> literals_pb2.Literal:
    kind = literal.scalar.WhichOneof("value") if literal.WhichOneof("value") == "scalar" else None
    if kind == "binary" and literal.scalar.binary.tag == "msgpack":
        value = msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)
        for step in steps:
            value = _step(value, step)
        return from_msgpack(value)
    if kind == "generic":
        value = json_format.MessageToDict(literal.scalar.generic)
        for step in steps:
            value = _step(value, step)
        return from_struct(value)
    raise Unresolved(f"a value of this type ({kind or literal.WhichOneof('value')}) has no attribute {steps[0]!r}")


def primitive(value: object) -> literals_pb2.Literal | None:
    match value:
        case bool():
            content = literals_pb2.Primitive(boolean=value)
        case int() if -(2**63) <= value < 2**63:
            content = literals_pb2.Primitive(integer=value)
        case float():
            content = literals_pb2.Primitive(float_value=value)
        case str():
            content = literals_pb2.Primitive(string_value=value)
        case _:
            return None
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=content))


def from_msgpack(value: object) -> literals_pb2.Literal:
    """As Flyte does it: primitives become primitives, lists collections of msgpack, the rest stays msgpack."""
    if isinstance(value, list):
        items = [_packed(item) for item in value]
        return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    return primitive(value) or _packed(value)


def _packed(value: object) -> literals_pb2.Literal:
    binary = literals_pb2.Binary(value=msgpack.packb(value), tag="msgpack")
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=binary))


def from_struct(value: object) -> literals_pb2.Literal:
    if isinstance(value, list):
        items = [from_struct(item) for item in value]
        return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    if isinstance(value, dict):
        struct = struct_pb2.Struct()
        struct.update(value)
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=struct))
    if value is None:
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    return primitive(value) or literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
