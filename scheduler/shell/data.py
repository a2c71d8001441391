"""The data that flows along edges: bindings resolved against the outputs of nodes, read once and written once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError, NotFound
from artifacts.literals import marks, without_marks
from artifacts.literals.decode import struct_to_python
from artifacts.places import place_of
from artifacts.store import LocalStore, store
from scheduler.authority import Authority
from scheduler.engine.state import Failure
from scheduler.shell.origins import Origins, of_input, of_output

BATCH = 500
SMALL = 64 * 1024  # bytes; literal maps up to this size are kept in memory


class Unresolved(Exception):
    """A binding or output that cannot be had; the message names it. The user's error."""

    def __init__(self, message: str, code: str = "BindingResolutionError") -> None:
        super().__init__(message)
        self.code = code

    def failure(self) -> Failure:
        return Failure(self.code, str(self))


def read(uri: str) -> literals_pb2.LiteralMap:
    """What lies at the URI now, not to be changed. NotFound if nothing does."""
    return literals_pb2.LiteralMap.FromString(store().get(uri)) if uri else literals_pb2.LiteralMap()


READERS = 16  # objects of a remote store read at a time
HELPERS = 8  # of a turn's, written or read ahead at a time


def read_many(uris: Sequence[str]) -> Iterator[literals_pb2.LiteralMap]:
    """What lies at each of the URIs, in their order, one after the other. NotFound if nothing does.

    A remote store is asked for several at a time: the time that passes is its answer's, not its work's.
    """
    if isinstance(store(), LocalStore):
        yield from map(read, uris)
        return
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(uris), BATCH):  # so that not all of them are in memory
            yield from pool.map(read, uris[start : start + BATCH])


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    """Who waits for a remote store's answers while the turn goes on."""
    return ThreadPoolExecutor(HELPERS, thread_name_prefix="store")


def write(uri: str, values: literals_pb2.LiteralMap) -> bytes:
    """Returns what was written: the same for the same values."""
    content: bytes = values.SerializeToString(deterministic=True)
    store().put(uri, content)
    return content


@lru_cache(maxsize=512)
def _settled(uri: str) -> literals_pb2.LiteralMap:
    data = store().get(uri)
    if len(data) > SMALL:
        raise _TooLargeToKeep(data)
    return literals_pb2.LiteralMap.FromString(data)


class _TooLargeToKeep(Exception):
    """Carries what was read past the cache."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class Literals:
    """The literal maps of one turn.

    What the turn wrote it remembers itself, for only as long as it lasts: if it is rolled back, the one that repeats it
    may publish other versions and write something else in the same places. What it did not write was there when it
    began. That never changes any more, for whoever wrote it has committed, and only committed rows name it: so it is
    kept for the turns to come of this process.

    A remote store is written to while the turn goes on: whatever it is that names these places waits in `settled`.
    """

    def __init__(self) -> None:
        self._written: dict[str, literals_pb2.LiteralMap | None] = {}  # None: too large to keep
        self._pending: dict[str, Future[None]] = {}  # on their way, by place

    @contextmanager
    def settled(self) -> Iterator[None]:
        """At its end all that was written is there; what the store refused is raised. Also after a failure nothing is
        on its way any more: it could come after what is written in the same place by whoever tries again.
        """
        try:
            yield
        finally:
            wait(self._pending.values())
        for uri in list(self._pending):
            self._arrived(uri)

    def _arrived(self, uri: str) -> None:
        if (sent := self._pending.pop(uri, None)) is not None:
            sent.result()

    def read(self, uri: str) -> literals_pb2.LiteralMap:
        """Not to be changed. NotFound if nothing was written there."""
        if not uri:
            return literals_pb2.LiteralMap()
        if uri in self._written:
            if (kept := self._written[uri]) is None:
                self._arrived(uri)
                return read(uri)
            return kept
        try:
            return _settled(uri)
        except _TooLargeToKeep as large:
            return literals_pb2.LiteralMap.FromString(large.data)

    def write(self, uri: str, values: literals_pb2.LiteralMap) -> bytes:
        """`values` must not be changed any more. Returns what was written: the same for the same values."""
        content: bytes = values.SerializeToString(deterministic=True)
        self._arrived(uri)  # what was written there before
        if isinstance(store(), LocalStore):
            store().put(uri, content)
        else:
            self._pending[uri] = _helpers().submit(store().put, uri, content)
        self._written[uri] = values if len(content) <= SMALL else None
        return content

    def look_ahead(self, uris: Sequence[str]) -> None:
        """Several that are about to be read: from a remote store at the same time. What is wrong the reader meets."""
        ahead = [uri for uri in uris if uri not in self._written]
        if len(ahead) > 1 and not isinstance(store(), LocalStore):
            wait([_helpers().submit(_settled, uri) for uri in ahead])

    def read_outputs(self, uri: str, node: str) -> literals_pb2.LiteralMap:
        """Outputs of a node or attempt; Unresolved if it wrote none, or not what it should."""
        try:
            return self.read(uri)
        except NotFound:
            raise Unresolved(f"node {node} wrote no outputs at {uri}", "OutputsNotFound") from None
        except DecodeError:
            raise Unresolved(f"what node {node} wrote at {uri} is no literal map", "OutputsUnreadable") from None


def hashed(content: bytes) -> str:
    """128 bits in hexadecimal."""
    return blake2b(content, digest_size=16).hexdigest()


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
        literals: Literals,
        inputs_uri: str,
        output_uris: dict[str, str],
        aliases: dict[str, dict[str, str]],
        *,
        inputs_origins: Origins | None = None,
        output_origins: Mapping[str, Origins] | None = None,
        constants: Collection[int] = (),
        authority: Authority,
    ) -> None:
        self.literals = literals
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
            values, where = self.literals.read(self.inputs_uri), "the workflow's inputs"
        else:
            uri = self.output_uris.get(promise.node_id)
            if not uri:
                raise Unresolved(f"node {promise.node_id} has no outputs")
            values = self.literals.read_outputs(uri, promise.node_id)
            where = f"the outputs of node {promise.node_id}"
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
        value = struct_to_python(literal.scalar.generic)
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
