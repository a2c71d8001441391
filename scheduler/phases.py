"""Phases of executions, nodes and task attempts (FlyteIDL's numbers), outcomes of firings, and the moves each machine
allows.

execution  UNDEFINED -> QUEUED -> RUNNING -> SUCCEEDING -> SUCCEEDED
                                    |-> FAILING -> FAILED | TIMED_OUT
                (any active)        '-> ABORTING -> ABORTED

node       UNDEFINED -> QUEUED -> RUNNING (or DYNAMIC_RUNNING) -> SUCCEEDED | FAILED | TIMED_OUT | ABORTED
                '-> SKIPPED                 '-> FAILING -> FAILED,  RECOVERED

attempt    UNDEFINED -> QUEUED -> INITIALIZING <-> WAITING_FOR_RESOURCES -> RUNNING -> SUCCEEDED | FAILED | ABORTED
           (who holds it in which: scheduler.attempts.phases)

firing     any of them first;  WAITING <-> UNRESOLVED | SKIPPED | FAILED, and of these four each -> FIRED | COALESCED
                               WAITING <-> EXPIRED -> FIRED;  FILTERED
           (who writes them: scheduler.triggers.moves)
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models


class ExecutionPhase(models.IntegerChoices):
    """flyteidl.core.WorkflowExecution.Phase"""

    UNDEFINED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDING = 3
    SUCCEEDED = 4
    FAILING = 5
    FAILED = 6
    ABORTED = 7
    TIMED_OUT = 8
    ABORTING = 9


class NodePhase(models.IntegerChoices):
    """flyteidl.core.NodeExecution.Phase; UNDEFINED is a node that still waits for its upstream nodes."""

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


class AttemptPhase(models.IntegerChoices):
    """flyteidl.core.TaskExecution.Phase"""

    UNDEFINED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDED = 3
    ABORTED = 4
    FAILED = 5
    INITIALIZING = 6
    WAITING_FOR_RESOURCES = 7
    RETRYABLE_FAILED = 8


class FiringOutcome(models.TextChoices):
    """What came of a version at a trigger; scheduler.triggers writes the reasons."""

    FIRED = "fired"  # launched
    COALESCED = "coalesced"  # a newer version launches instead
    FILTERED = "filtered"  # not what the trigger watches
    SKIPPED = "skipped"  # a limit, a pause or a deactivation forbade it
    WAITING = "waiting"  # for other artifacts, for its turn, for the end of a pause
    EXPIRED = "expired"  # the other artifacts did not come in time
    UNRESOLVED = "unresolved"  # an input found no version yet; tried again when one arrives
    FAILED = "failed"  # the launch was refused


class Machine(models.TextChoices):
    """Which machine a PhaseEvent belongs to."""

    EXECUTION = "execution"
    NODE = "node"
    ATTEMPT = "attempt"


E_, N_, A_ = ExecutionPhase, NodePhase, AttemptPhase

EXECUTION_TERMINAL = frozenset({E_.SUCCEEDED, E_.FAILED, E_.ABORTED, E_.TIMED_OUT})
EXECUTION_FAILED = frozenset({E_.FAILED, E_.TIMED_OUT})
NODE_TERMINAL = frozenset({N_.SUCCEEDED, N_.FAILED, N_.ABORTED, N_.SKIPPED, N_.TIMED_OUT, N_.RECOVERED})
NODE_DONE = frozenset({N_.SUCCEEDED, N_.SKIPPED, N_.RECOVERED})
ATTEMPT_HELD = frozenset({A_.INITIALIZING, A_.WAITING_FOR_RESOURCES, A_.RUNNING})  # an executor has it
ATTEMPT_TERMINAL = frozenset({A_.SUCCEEDED, A_.ABORTED, A_.FAILED, A_.RETRYABLE_FAILED})

EXECUTION_TRANSITIONS: Mapping[ExecutionPhase, frozenset[ExecutionPhase]] = {
    E_.UNDEFINED: frozenset({E_.QUEUED, E_.RUNNING, E_.FAILING, E_.FAILED, E_.ABORTING, E_.ABORTED}),
    E_.QUEUED: frozenset({E_.RUNNING, E_.FAILING, E_.FAILED, E_.ABORTING, E_.ABORTED, E_.TIMED_OUT}),
    E_.RUNNING: frozenset({E_.SUCCEEDING, E_.SUCCEEDED, E_.FAILING, E_.FAILED, E_.ABORTING, E_.ABORTED, E_.TIMED_OUT}),
    E_.SUCCEEDING: frozenset({E_.SUCCEEDED, E_.FAILING, E_.FAILED, E_.ABORTING, E_.ABORTED}),
    E_.FAILING: frozenset({E_.FAILED, E_.TIMED_OUT, E_.ABORTING, E_.ABORTED}),
    E_.ABORTING: frozenset({E_.ABORTED}),
    **{phase: frozenset() for phase in EXECUTION_TERMINAL},
}

_NODE_ENDS = NODE_TERMINAL - {N_.SKIPPED}
NODE_TRANSITIONS: Mapping[NodePhase, frozenset[NodePhase]] = {
    N_.UNDEFINED: frozenset({N_.QUEUED, N_.RUNNING, N_.DYNAMIC_RUNNING}) | NODE_TERMINAL,
    N_.QUEUED: frozenset({N_.RUNNING, N_.DYNAMIC_RUNNING, N_.FAILING}) | NODE_TERMINAL,
    N_.RUNNING: frozenset({N_.DYNAMIC_RUNNING, N_.FAILING, N_.QUEUED}) | _NODE_ENDS,
    N_.DYNAMIC_RUNNING: frozenset({N_.FAILING, N_.QUEUED}) | _NODE_ENDS,
    N_.FAILING: frozenset({N_.FAILED, N_.TIMED_OUT, N_.ABORTED, N_.SUCCEEDED}),
    **{phase: frozenset() for phase in NODE_TERMINAL},
}

_ATTEMPT_ACTIVE = frozenset({A_.UNDEFINED, A_.QUEUED, A_.WAITING_FOR_RESOURCES, A_.INITIALIZING, A_.RUNNING})
ATTEMPT_TRANSITIONS: Mapping[AttemptPhase, frozenset[AttemptPhase]] = {
    A_.UNDEFINED: (_ATTEMPT_ACTIVE - {A_.UNDEFINED}) | ATTEMPT_TERMINAL,
    A_.QUEUED: (_ATTEMPT_ACTIVE - {A_.UNDEFINED, A_.QUEUED}) | ATTEMPT_TERMINAL,
    A_.WAITING_FOR_RESOURCES: frozenset({A_.QUEUED, A_.INITIALIZING, A_.RUNNING}) | ATTEMPT_TERMINAL,
    A_.INITIALIZING: frozenset({A_.QUEUED, A_.WAITING_FOR_RESOURCES, A_.RUNNING}) | ATTEMPT_TERMINAL,
    A_.RUNNING: ATTEMPT_TERMINAL,
    **{phase: frozenset() for phase in ATTEMPT_TERMINAL},
}

F_ = FiringOutcome

FIRING_TERMINAL = frozenset({F_.FIRED, F_.COALESCED, F_.FILTERED})
_FIRING_OPEN = frozenset({F_.WAITING, F_.UNRESOLVED, F_.SKIPPED, F_.FAILED})  # a next try may change it
_FIRING_ENDS = frozenset({F_.FIRED, F_.COALESCED})
FIRING_TRANSITIONS: Mapping[FiringOutcome, frozenset[FiringOutcome]] = {
    F_.WAITING: (_FIRING_OPEN - {F_.WAITING}) | _FIRING_ENDS | {F_.EXPIRED},
    **{outcome: (_FIRING_OPEN - {outcome}) | _FIRING_ENDS for outcome in _FIRING_OPEN - {F_.WAITING}},
    # It goes on when a version published in its time is looked at late, and ends with the first round that took it.
    F_.EXPIRED: frozenset({F_.WAITING, F_.FIRED}),
    **{outcome: frozenset() for outcome in FIRING_TERMINAL},
}
