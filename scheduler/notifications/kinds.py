"""Happenings that begin in the scheduler's lower rooms, and what subscriptions may name."""

from __future__ import annotations

from collections.abc import Iterable

from artifacts.exceptions import InvalidArgument
from artifacts.happenings import KINDS, register
from scheduler.phases import ExecutionPhase

ENDS = {
    ExecutionPhase.SUCCEEDED: register("execution.succeeded", "succeeded"),
    ExecutionPhase.FAILED: register("execution.failed", "failed"),
    ExecutionPhase.ABORTED: register("execution.aborted", "was aborted"),
    ExecutionPhase.TIMED_OUT: register("execution.timed_out", "timed out"),
}
GATE_WAITING = register("gate.waiting", "waits for a person")
QUOTA_WARNED = register("quota.warned", "is nearly used up")
ANY = "*"


def patterns() -> list[str]:
    """What a subscription may name, besides kinds: all of them, and all of one subject."""
    return [ANY, *sorted({f"{name.partition('.')[0]}.{ANY}" for name in KINDS})]


def check_kinds(wanted: Iterable[str]) -> list[str]:
    """Sorted, each once. InvalidArgument for none, and for what nothing is."""
    found = sorted(set(wanted))
    unknown = [name for name in found if name not in KINDS and name not in patterns()]
    if unknown or not found:
        said = f"there is no {', '.join(unknown)}; " if unknown else ""
        raise InvalidArgument(f"kinds: {said}one or more of {', '.join([*patterns(), *sorted(KINDS)])}")
    return found
