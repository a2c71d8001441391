"""How an attempt ended, as a value. Whose fault it was decides which budget of retries it counts against."""

from __future__ import annotations

from dataclasses import dataclass

from flyteidl.core import execution_pb2

from scheduler.messages import bounded
from scheduler.phases import AttemptPhase

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM
REASON = 500  # characters of a message that lists show


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is a serialised core.ExecutionError; `retryable`: whether trying again makes sense."""

    phase: AttemptPhase  # SUCCEEDED, FAILED or ABORTED
    reason: str = ""
    error: bytes | None = None
    retryable: bool = False
    output_uri: str = ""
    deck_uri: str = ""


def failure(code: str, message: str, kind: int, *, retryable: bool) -> Outcome:
    """`kind`: USER or SYSTEM. The first line of the message is its reason."""
    message = bounded(message)
    error = execution_pb2.ExecutionError(code=code, message=message, kind=kind)  # type: ignore[arg-type]
    first_line = message.strip().partition("\n")[0]
    reason = first_line[:REASON]
    return Outcome(AttemptPhase.FAILED, reason=reason, error=error.SerializeToString(), retryable=retryable)


def system_failure(code: str, message: str) -> Outcome:
    """An end that is nobody's fault but Causeway's or the place's, and may be repeated."""
    return failure(code, message, SYSTEM, retryable=True)


def aborted(reason: str) -> Outcome:
    return Outcome(AttemptPhase.ABORTED, reason=reason)
