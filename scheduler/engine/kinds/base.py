"""The protocol that every node kind implements."""

from __future__ import annotations

from typing import Protocol

from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import Event, Prepared
from scheduler.engine.state import Node


class NodeKind(Protocol):
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        """The inputs are in place; the node is QUEUED."""

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        """An event for an active node. False: it is late or repeated, and nothing was changed."""

    def stop(self, ev: Evaluation, node: Node) -> None:
        """The node is being aborted: command the end of what runs outside the engine."""
