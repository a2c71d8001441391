"""Do the bindings of a node give its inputs values of the right types, and which nodes do they come from?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from flyteidl.core import interface_pb2, literals_pb2, types_pb2

from artifacts.literals import describe_type, is_castable, is_optional
from artifacts.literals.types import infer_scalar
from scheduler.compiler.errors import Complaints

START_NODE = "start-node"
END_NODE = "end-node"

Outputs = Callable[[str], "Mapping[str, interface_pb2.Variable] | None"]
# The outputs of a node about which there is a complaint already: one that follows from it would only distract.
UNKNOWN: Mapping[str, interface_pb2.Variable] = MappingProxyType({})


@dataclass
class Binder:
    """Checks bindings inside one workflow. `outputs_of` gives a node's outputs, None when there is no such node."""

    outputs_of: Outputs
    complaints: Complaints

    def check(
        self,
        node_id: str,
        bindings: Iterable[literals_pb2.Binding],
        expected: Mapping[str, interface_pb2.Variable] | None,
    ) -> Bound:
        """`expected` None takes any name and type, as the inputs of conditions and approvals do."""
        bound = Bound()
        for binding in bindings:
            name = binding.var
            if expected is not None and name not in expected:
                known = ", ".join(sorted(expected)) or "none"
                self.complaints.add(node_id, f'has no input "{name}"; its inputs are: {known}')
                continue
            if name in bound.types:
                self.complaints.add(node_id, f'input "{name}" is bound more than once')
                continue
            wanted = expected[name].type if expected is not None else None
            found = self._resolve(node_id, name, binding.binding, wanted, self.complaints)
            bound.types[name] = found.type if found else None
            if found:
                bound.upstream |= found.upstream
        for name, variable in (expected or {}).items():
            if name not in bound.types and not is_optional(variable.type):
                self.complaints.add(node_id, f'input "{name}" ({describe_type(variable.type)}) is not bound')
        return bound

    def _resolve(
        self,
        node_id: str,
        name: str,
        data: literals_pb2.BindingData,
        wanted: types_pb2.LiteralType | None,
        complaints: Complaints,
    ) -> Found | None:
        """None when it complained."""
        which = data.WhichOneof("value")
        if which in ("collection", "map"):
            return self._many(node_id, name, data, wanted, complaints)
        if which == "promise":
            return self._promise(node_id, name, data.promise, wanted, complaints)
        if which == "scalar":
            given = infer_scalar(data.scalar)
        elif which == "offloaded_metadata":
            given = data.offloaded_metadata.inferred_type
        else:
            given = None
        if given is None:
            complaints.add(node_id, f'input "{name}" is bound to nothing')
            return None
        if wanted is not None and not is_castable(given, wanted):
            complaints.add(node_id, _mismatch(name, wanted, given))
            return None
        if wanted is not None and wanted.HasField("enum_type"):
            value = data.scalar.primitive.string_value
            if value not in wanted.enum_type.values:
                complaints.add(
                    node_id, f'input "{name}" is {value!r}, not one of: {", ".join(wanted.enum_type.values)}'
                )
                return None
        return Found(given)

    def _many(
        self,
        node_id: str,
        name: str,
        data: literals_pb2.BindingData,
        wanted: types_pb2.LiteralType | None,
        complaints: Complaints,
    ) -> Found | None:
        if wanted is not None and wanted.HasField("union_type"):
            return self._one_variant(node_id, name, data, wanted, complaints)
        is_list = data.HasField("collection")
        field_name = "collection_type" if is_list else "map_value_type"
        if wanted is not None and wanted.WhichOneof("type") != field_name:
            shape = "a list" if is_list else "a dict"
            complaints.add(node_id, f'input "{name}" expects {describe_type(wanted)}, is bound to {shape}')
            return None
        inner = getattr(wanted, field_name) if wanted is not None else None
        items = data.collection.bindings if is_list else list(data.map.bindings.values())
        found = [self._resolve(node_id, name, item, inner, complaints) for item in items]
        if None in found:
            return None
        types = [one.type for one in found if one]
        item_type = inner or (types[0] if types else types_pb2.LiteralType(simple=types_pb2.NONE))
        upstream = frozenset[str]().union(*(one.upstream for one in found if one))
        if is_list:
            return Found(types_pb2.LiteralType(collection_type=item_type), upstream)
        return Found(types_pb2.LiteralType(map_value_type=item_type), upstream)

    def _one_variant(
        self,
        node_id: str,
        name: str,
        data: literals_pb2.BindingData,
        wanted: types_pb2.LiteralType,
        complaints: Complaints,
    ) -> Found | None:
        fitting = [
            found
            for variant in wanted.union_type.variants
            if (found := self._resolve(node_id, name, data, variant, complaints.aside()))
        ]
        if len(fitting) == 1:
            return fitting[0]
        problem = "fits several variants of" if fitting else "fits no variant of"
        complaints.add(node_id, f'the value bound to input "{name}" {problem} {describe_type(wanted)}')
        return None

    def _promise(
        self,
        node_id: str,
        name: str,
        promise: types_pb2.OutputReference,
        wanted: types_pb2.LiteralType | None,
        complaints: Complaints,
    ) -> Found | None:
        upstream = promise.node_id or START_NODE
        outputs = self.outputs_of(upstream)
        if outputs is None:
            complaints.add(node_id, f'input "{name}" refers to node "{upstream}", which does not exist')
            return None
        if outputs is UNKNOWN:
            return None
        if promise.var not in outputs:
            known = ", ".join(sorted(outputs)) or "none"
            source = "the workflow's inputs" if upstream == START_NODE else f'the outputs of node "{upstream}"'
            complaints.add(node_id, f'input "{name}" refers to "{promise.var}", but {source} are: {known}')
            return None
        given, certain = follow_path(outputs[promise.var].type, promise.attr_path)
        if given is None:
            complaints.add(node_id, f'input "{name}": {_no_attribute(outputs[promise.var].type, promise)}')
            return None
        if wanted is not None and certain and not is_castable(given, wanted):
            source = f"{upstream}.{promise.var}" + "".join(_step(step) for step in promise.attr_path)
            complaints.add(node_id, _mismatch(name, wanted, given) + f" from {source}")
            return None
        promise.node_id = upstream  # the compiled closure names the start node, as Flyte's does
        return Found(given, frozenset({upstream}))


@dataclass(frozen=True)
class Found:
    type: types_pb2.LiteralType
    upstream: frozenset[str] = frozenset()


@dataclass
class Bound:
    types: dict[str, types_pb2.LiteralType | None] = field(default_factory=dict)  # None: there was a complaint
    upstream: set[str] = field(default_factory=set)

    def as_variables(self) -> dict[str, interface_pb2.Variable]:
        return {name: interface_pb2.Variable(type=found) for name, found in self.types.items() if found is not None}


def follow_path(
    literal_type: types_pb2.LiteralType, path: Iterable[types_pb2.PromiseAttribute]
) -> tuple[types_pb2.LiteralType | None, bool]:
    """The type at the end of an attribute path and whether it is certain; None when a dataclass has no such field.

    A plain dict says nothing about what is in it, so what comes out of one is only known when it runs.
    """
    certain = True
    for step in path:
        if literal_type.HasField("collection_type"):
            literal_type = literal_type.collection_type
        elif literal_type.HasField("map_value_type"):
            literal_type = literal_type.map_value_type
        elif literal_type.structure.dataclass_type:
            fields = literal_type.structure.dataclass_type
            if step.string_value not in fields:
                return None, False
            literal_type = fields[step.string_value]
        else:
            certain = False
    return literal_type, certain


def _no_attribute(literal_type: types_pb2.LiteralType, promise: types_pb2.OutputReference) -> str:
    path = "".join(_step(step) for step in promise.attr_path)
    return f'"{promise.var}{path}" does not exist in {describe_type(literal_type)}'


def _step(step: types_pb2.PromiseAttribute) -> str:
    return f"[{step.int_value}]" if step.WhichOneof("value") == "int_value" else f".{step.string_value}"


def _mismatch(name: str, wanted: types_pb2.LiteralType, given: types_pb2.LiteralType) -> str:
    return f'input "{name}" expects {describe_type(wanted)}, is bound to {describe_type(given)}'
