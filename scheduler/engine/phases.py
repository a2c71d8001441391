"""FlyteIDL's node phases without Django; a test keeps them equal to `scheduler.phases.NodePhase`."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    UNDEFINED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILING = 4
    FAILED = 5
    ABORTED = 6
    SKIPPED = 7
    TIMED_OUT = 8
    DYNAMIC_RUNNING = 9
    RECOVERED = 10


DONE = frozenset({Phase.SUCCEEDED, Phase.SKIPPED, Phase.RECOVERED})
FAILED = frozenset({Phase.FAILED, Phase.TIMED_OUT})
TERMINAL = DONE | FAILED | {Phase.ABORTED}
ACTIVE = frozenset({Phase.QUEUED, Phase.RUNNING, Phase.FAILING, Phase.DYNAMIC_RUNNING})
