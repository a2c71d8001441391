"""Errors of executions, nodes and attempts as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from flyteidl.core import execution_pb2

from scheduler.models import Execution
from scheduler.phases import EXECUTION_FAILED

SUMMARY_LETTERS = 300
_TRACES = ("Trace:", "Traceback (most recent call last)")
# Codes of what ended a task's process without a word from its code
_PROCESS = frozenset({"NonZeroExit", "OOMKilled", "TimeoutExpired", "Killed", "OutputsNotFound", "OutputsNotKept"})
BAD = tuple(sorted(EXECUTION_FAILED))
Rows = TypeVar("Rows", bound=Iterable[Execution])
_KEPT = "_failure"  # on the row


@dataclass(frozen=True)
class Failure:
    """An ExecutionError for people. `origin`: a phrase that says where it comes from; `trace`: more than the summary,
    where there is more.
    """

    code: str
    origin: str
    summary: str
    trace: str


def describe_error(raw: bytes | memoryview | None) -> Failure | None:
    if not raw:
        return None
    error = execution_pb2.ExecutionError.FromString(bytes(raw))
    message = error.message.strip()
    lines = message.splitlines()
    return Failure(error.code, _origin(error), _summary(lines) or error.code, message if len(lines) > 1 else "")


def with_failures(rows: Rows) -> Rows:
    """The same rows, those that failed knowing why: one look for all of them, at nothing but their errors."""
    bad = {row.pk: row for row in rows if row.phase in BAD}
    said = Execution.objects.filter(pk__in=bad).values_list("pk", "error") if bad else ()
    for pk, error in said:
        setattr(bad[pk], _KEPT, describe_error(error))
    return rows


def failure_of(row: Execution) -> Failure | None:
    """Of a row that `with_failures` was asked about."""
    return getattr(row, _KEPT, None)


def _origin(error: execution_pb2.ExecutionError) -> str:
    """FlyteIDL's USER means whose fault it is, which is not only what the code raised."""
    if error.kind == execution_pb2.ExecutionError.SYSTEM:
        return "by the system"
    if error.kind != execution_pb2.ExecutionError.USER:
        return ""
    code = error.code.rpartition("|")[2]  # behind RetriesExhausted|
    if code.startswith("USER:") or any(sign in error.message for sign in _TRACES):
        return "raised by user code"
    if code in _PROCESS:
        return "the task's process"
    return "nothing the code raised: what was asked for cannot be done"


def _summary(lines: list[str]) -> str:
    """The line of an error's message that says most, cut where it is long.

    flytekit writes `Trace:`, the traceback, `Message:`, the exception; Python's own traceback ends with the exception;
    anything else begins with what it says, as an error of a map does.
    """
    said = [line.strip() for line in lines if line.strip()]
    if not said:
        return ""
    if said[0].startswith("Trace:") and "Message:" in said[:-1]:
        found = said[said.index("Message:") + 1]
    else:
        found = said[-1] if said[0].startswith("Trace") else said[0]
    return found if len(found) <= SUMMARY_LETTERS else f"{found[: SUMMARY_LETTERS - 1]}…"
