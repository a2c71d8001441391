"""What every phase, outcome, kind and state is called and how it is coloured. The only place that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from artifacts.models import CheckStatus, Kind
from lineage.models import Via
from scheduler.contests.rules import Standing
from scheduler.doing import State, state_of
from scheduler.models import Channel, ExecutionMode, FiringOutcome, LaunchPlan, NodeKind
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase


@dataclass(frozen=True)
class Badge:
    """A label and its tone (neutral, info, good, warn, bad, odd); `live` ones pulse."""

    label: str
    tone: str = "neutral"
    live: bool = False


QUEUED = Badge("Queued")
RUNNING = Badge("Running", "info", live=True)
SUCCEEDED = Badge("Succeeded", "good")
FAILED = Badge("Failed", "bad")
TIMED_OUT = Badge("Timed out", "bad")
ABORTED = Badge("Aborted", "odd")
WAITING = Badge("Waiting", "warn")
GATED = Badge("Gated", "warn", live=True)
STARTING = Badge("Starting", "info", live=True)

# What unfinished things do; where there is a state, it is shown instead of the phase.
STATE: Mapping[State, Badge] = {
    State.QUEUED: QUEUED,
    State.WAITING: WAITING,
    State.GATED: GATED,
    State.STARTING: STARTING,
    State.RUNNING: RUNNING,
}

EXECUTION: Mapping[int, Badge] = {
    ExecutionPhase.UNDEFINED: Badge("New"),
    ExecutionPhase.QUEUED: QUEUED,
    ExecutionPhase.RUNNING: RUNNING,
    ExecutionPhase.SUCCEEDING: Badge("Succeeding", "info", live=True),
    ExecutionPhase.SUCCEEDED: SUCCEEDED,
    ExecutionPhase.FAILING: Badge("Failing", "bad", live=True),
    ExecutionPhase.FAILED: FAILED,
    ExecutionPhase.ABORTED: ABORTED,
    ExecutionPhase.TIMED_OUT: TIMED_OUT,
    ExecutionPhase.ABORTING: Badge("Aborting", "odd", live=True),
}

NODE: Mapping[int, Badge] = {
    NodePhase.UNDEFINED: Badge("Not started"),
    NodePhase.QUEUED: QUEUED,
    NodePhase.RUNNING: RUNNING,
    NodePhase.SUCCEEDED: SUCCEEDED,
    NodePhase.FAILING: Badge("Failing", "bad", live=True),
    NodePhase.FAILED: FAILED,
    NodePhase.ABORTED: ABORTED,
    NodePhase.SKIPPED: Badge("Skipped"),
    NodePhase.TIMED_OUT: TIMED_OUT,
    NodePhase.DYNAMIC_RUNNING: RUNNING,
    NodePhase.RECOVERED: Badge("Recovered", "good"),
}

ATTEMPT: Mapping[int, Badge] = {
    AttemptPhase.UNDEFINED: Badge("New"),
    AttemptPhase.QUEUED: QUEUED,
    AttemptPhase.RUNNING: RUNNING,
    AttemptPhase.SUCCEEDED: SUCCEEDED,
    AttemptPhase.ABORTED: ABORTED,
    AttemptPhase.FAILED: FAILED,
    AttemptPhase.INITIALIZING: STARTING,
    AttemptPhase.WAITING_FOR_RESOURCES: WAITING,
    AttemptPhase.RETRYABLE_FAILED: Badge("Failed, retried", "warn"),
}


def of_attempt_row(phase: int, reason: str) -> Badge:
    """Of an attempt by its row alone (scheduler.doing.state_of)."""
    state = state_of(phase, reason)
    return STATE[state] if state is not None else ATTEMPT.get(phase, Badge("Unknown"))


FIRING: Mapping[str, Badge] = {
    FiringOutcome.FIRED: Badge("Fired", "good"),
    FiringOutcome.COALESCED: Badge("Coalesced"),
    FiringOutcome.FILTERED: Badge("Filtered"),
    FiringOutcome.SKIPPED: Badge("Skipped"),
    FiringOutcome.WAITING: Badge("Waiting", "warn"),
    FiringOutcome.EXPIRED: Badge("Expired", "warn"),
    FiringOutcome.UNRESOLVED: Badge("Unresolved", "warn"),
    FiringOutcome.FAILED: FAILED,
}

CHECK: Mapping[str, Badge] = {
    CheckStatus.PENDING: Badge("Pending", "warn"),
    CheckStatus.PASSED: Badge("Passed", "good"),
    CheckStatus.FAILED: FAILED,
}

KIND: Mapping[str, Badge] = {
    Kind.MODEL: Badge("Model", "odd"),
    Kind.DATASET: Badge("Dataset", "info"),
    Kind.FILE: Badge("File"),
    Kind.DIRECTORY: Badge("Directory"),
    Kind.VALUE: Badge("Value"),
    Kind.OTHER: Badge("Other"),
}

LAUNCH_PLAN_STATE: Mapping[int, Badge] = {
    LaunchPlan.State.INACTIVE: Badge("Inactive"),
    LaunchPlan.State.ACTIVE: Badge("Active", "good"),
}

MODE: Mapping[int, str] = {
    ExecutionMode.MANUAL: "by hand",
    ExecutionMode.SCHEDULED: "by its schedule",
    ExecutionMode.SYSTEM: "by the system",
    ExecutionMode.RELAUNCH: "as a relaunch",
    ExecutionMode.CHILD_WORKFLOW: "by a parent execution",
    ExecutionMode.RECOVERED: "as a recovery",
    ExecutionMode.TRIGGER: "by an artifact",
}

NODE_KIND: Mapping[str, str] = {
    NodeKind.START: "start",
    NodeKind.END: "end",
    NodeKind.TASK: "task",
    NodeKind.WORKFLOW: "sub-workflow",
    NodeKind.LAUNCH_PLAN: "launch plan",
    NodeKind.BRANCH: "branch",
    NodeKind.GATE: "gate",
    NodeKind.ARRAY: "map",
}

VIA: Mapping[str, str] = {
    Via.OUTPUT: "output",
    Via.TRIGGER: "trigger",
    Via.QUERY: "query",
    Via.OVERRIDE: "override",
    Via.LITERAL: "upstream value",
    Via.FETCH: "download",
}

CHANNEL: Mapping[str, str] = {
    Channel.CONSOLE: "console",
    Channel.EMAIL: "mail",
    Channel.WEBHOOK: "webhook",
    Channel.SLACK: "Slack",
}


_STANDINGS = {
    Standing.MISSING: "warn",
    Standing.WAITING: "neutral",
    Standing.REFUSED: "warn",
    Standing.RUNNING: "info",
    Standing.FAILED: "bad",
    Standing.NOTHING: "warn",
    Standing.UNMEASURED: "warn",
    Standing.SCORED: "good",
}


def of_standing(standing: Standing) -> Badge:
    """What came of a version of a contest's dataset at a member."""
    return Badge(standing.value, _STANDINGS[standing])
