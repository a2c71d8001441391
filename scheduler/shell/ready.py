"""A node whose inputs are written: what becomes of it is decided next."""

from __future__ import annotations

from dataclasses import dataclass, field

from flyteidl.core import literals_pb2

from scheduler.engine.state import Node
from scheduler.graphs import Target


@dataclass(frozen=True)
class Ready:
    node: Node
    target: Target
    inputs: literals_pb2.LiteralMap  # not to be changed
    content: bytes  # the inputs as they were written
    fingerprint: str
    size: int = 0  # items of a map
    uses: dict[str, set[int]] = field(default_factory=dict)  # the versions that the inputs are, by variable
    cache_key: str = ""

    @property
    def key(self) -> str:
        return self.node.key
