"""Ends the wait of a pod that no node could ever hold, with the numbers, unless somebody adds a node for it.

The scheduler says "no preemption helps" also while a node's devices are away for some seconds: so the nodes themselves
are asked for what they have, after a while in which a cluster that grows says in the pod's events that it does.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from scheduler.executors.kubernetes import pods, sizes
from scheduler.executors.kubernetes.board import Board
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.wait import NOW, Wait

logger = logging.getLogger(__name__)

CODE = "NoNodeLargeEnough"
# As cluster-autoscaler (every ten seconds by default) and Karpenter say that a node comes
GROWTH = frozenset({"TriggeredScaleUp", "Nominated"})


class Hopeless:
    """`saw` before a wait is noted, under the board's lock."""

    def __init__(self, board: Board, objects: Objects, seconds: float) -> None:
        """`seconds`: after which nodes are counted; 0: never, the wait's own grace holds."""
        self.board, self.objects, self.seconds = board, objects, seconds

    def saw(self, held: Held, wait: Wait, pod: str = "") -> None:
        """`pod`: the name of the one that waits, where the attempt is a job of several."""
        if self.seconds and wait.code == CODE and (held.wait is None or held.wait.code != CODE):
            self.board.later(self.seconds, partial(self._count, held, pod or held.name))

    def _count(self, held: Held, name: str) -> None:
        if not _waits(held):
            return
        try:
            pod = self.objects.pod(held.namespace, name)
            said = sizes.too_large(pod, self.objects.nodes()) if pod is not None else ""
            grows = pod is not None and said and self._grows(held, pod)
        except ApiError as error:  # who may not list nodes: then the wait's own grace holds
            logger.info("whether a node could hold %s cannot be found out: %s", held.handle, error)
            return
        with self.board.lock:
            wait = held.wait
            if said and not grows and wait is not None and _waits(held):
                self.board.waits(held, replace(wait, message=f"{said}: {wait.message}", grace=NOW))

    def _grows(self, held: Held, pod: pods.Json) -> bool:
        events = self.objects.events(held.namespace, pods.name_of(pod), pods.uid_of(pod))
        return any(pods.text(one, "reason") in GROWTH for one in events)


def _waits(held: Held) -> bool:
    return held.stage == Stage.MADE and held.wait is not None and held.wait.code == CODE
