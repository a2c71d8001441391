"""Equal failures together: what differs in numbers and names of things alone is the same failure, so many times."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from console.pages.failures import Failure, describe_error
from scheduler.models import Execution, TaskExecution
from scheduler.phases import AttemptPhase

LOOKED_AT = 2_000  # failed attempts of an execution
EXAMPLES = 3
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b|\d+(?:\.\d+)?")


class Fallible(Protocol):
    """A row of what failed, or as much of it as is needed."""

    @property
    def error(self) -> Any: ...  # bytes of an ExecutionError, or None


Row = TypeVar("Row", bound=Fallible)


@dataclass(frozen=True)
class FailureGroup(Generic[Row]):
    """`rows`: some of them, the newest first; `failure`: of the newest."""

    failure: Failure
    count: int
    rows: list[Row]

    @property
    def newest(self) -> Row:
        return self.rows[0]


def likeness(failure: Failure) -> str:
    """The same for failures that mean the same: code and what it says, without numbers and digests."""
    return f"{failure.code}|{_VARYING.sub('#', failure.summary)}"


def grouped(rows: Iterable[Row], *, by: Callable[[Row], Hashable] = lambda row: None) -> list[FailureGroup[Row]]:
    """Of rows with an error, the newest first: the most frequent groups first. `by`: what else has to be the same."""
    alike: dict[tuple[Hashable, str], list[Row]] = defaultdict(list)
    newest: dict[tuple[Hashable, str], Failure] = {}
    for row in rows:
        failure = describe_error(row.error)
        if failure is not None:
            same = (by(row), likeness(failure))
            newest.setdefault(same, failure)
            alike[same].append(row)
    groups = [FailureGroup(newest[same], len(some), some[:EXAMPLES]) for same, some in alike.items()]
    return sorted(groups, key=lambda group: -group.count)


def failures_of(execution: Execution) -> list[FailureGroup[TaskExecution]]:
    """Of the attempts of an execution, where there is more than one failure to tell of."""
    bad = (AttemptPhase.FAILED, AttemptPhase.RETRYABLE_FAILED)
    rows = TaskExecution.objects.filter(execution_id=execution.pk, phase__in=bad, error__isnull=False)
    some = rows.select_related("node").defer("command", "node__error", "node__state").order_by("-pk")[:LOOKED_AT]
    groups = grouped(some, by=lambda row: row.phase)
    return groups if sum(group.count for group in groups) > 1 else []
