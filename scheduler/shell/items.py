"""How many items the inputs of a map make, and what one item gets."""

from __future__ import annotations

from flyteidl.core import literals_pb2, workflow_pb2

from scheduler.shell import data


def size_of(array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap) -> int:
    """Number of items. Unresolved if the lists differ in length or there is none."""
    lengths = {
        name: len(data.load_offloaded(literal).collection.literals)
        for name, literal in inputs.literals.items()
        if name not in array.bound_inputs and data.load_offloaded(literal).WhichOneof("value") == "collection"
    }
    if not lengths:
        if inputs.literals and len(array.bound_inputs) == len(inputs.literals):
            return 1
        raise data.Unresolved("no input array provided", "InvalidArrayLength")
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in sorted(lengths.items()))
        raise data.Unresolved(f"input arrays have different lengths: {told}", "InvalidArrayLength")
    return next(iter(lengths.values()))


def at_hand(array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
    """The inputs of a map with those lists that were offloaded, so that they are not read again for each item."""
    if all(literal.WhichOneof("value") != "offloaded_metadata" for literal in inputs.literals.values()):
        return inputs
    loaded = dict(inputs.literals)
    for name in loaded.keys() - set(array.bound_inputs):
        whole = data.load_offloaded(loaded[name])
        loaded[name] = whole if whole.WhichOneof("value") == "collection" else loaded[name]
    return literals_pb2.LiteralMap(literals=loaded)


def item_inputs(array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap, index: int) -> literals_pb2.LiteralMap:
    """What the item with that number is given."""
    values = literals_pb2.LiteralMap()
    for name, literal in inputs.literals.items():
        whole = data.load_offloaded(literal)
        mapped = name not in array.bound_inputs and whole.WhichOneof("value") == "collection"
        values.literals[name].CopyFrom(whole.collection.literals[index] if mapped else literal)
    return values


def some_inputs(
    array: workflow_pb2.ArrayNode, inputs: literals_pb2.LiteralMap, first: int, end: int
) -> literals_pb2.LiteralMap:
    """The inputs of a map over only the items from `first` to before `end`."""
    values = literals_pb2.LiteralMap()
    for name, literal in inputs.literals.items():
        whole = data.load_offloaded(literal)
        if name not in array.bound_inputs and whole.WhichOneof("value") == "collection":
            values.literals[name].collection.literals.extend(whole.collection.literals[first:end])
        else:
            values.literals[name].CopyFrom(literal)
    return values
