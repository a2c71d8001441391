"""The files with the inputs of a large map's items.

Each item reads all of its file. If that held all of the map's lists, the cost of a map would grow with its square.
"""

from __future__ import annotations

from functools import lru_cache

from flyteidl.core import literals_pb2

from artifacts.exceptions import NotFound
from artifacts.store import store
from scheduler.engine.kinds.array import items_of
from scheduler.engine.state import Node
from scheduler.graphs import Target
from scheduler.shell.items import item_inputs, some_inputs
from scheduler.shell.turn import Turn

BLOCK = 50  # items whose inputs share a file
DIGEST = 12  # letters of the digest of the map's inputs in the file's place


def inputs_of(turn: Turn, array: Node, target: Target, index: int) -> literals_pb2.LiteralMap:
    """What an item of the map takes in."""
    uri, first = block_of(turn, array, target, index)
    return item_inputs(target.node.array_node, turn.literals.read(uri), index - first)


def block_of(turn: Turn, array: Node, target: Target, index: int) -> tuple[str, int]:
    """The file with the item's inputs, and which item is the first in it."""
    whole = turn.uris.inputs(array.key)
    size = items_of(array).size
    if size <= BLOCK:
        return whole, 0
    first = index - index % BLOCK
    uri = turn.uris.block_inputs(
        array.key, first, min(first + BLOCK, size) - 1, turn.rows.fingerprints.get(array.key, "")[-DIGEST:]
    )
    try:
        _written(uri)
    except NotFound:
        turn.literals.write(uri, some_inputs(target.node.array_node, turn.literals.read(whole), first, first + BLOCK))
    return uri, first


@lru_cache(maxsize=1024)
def _written(uri: str) -> None:
    """NotFound, which is not remembered, if nothing was written there."""
    if not store().exists(uri):
        raise NotFound(f"nothing was written at {uri}")
