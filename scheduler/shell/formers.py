"""The executions that one recovers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scheduler.models import Execution, ExecutionMode


@dataclass
class Recovery:
    """What a turn knows of them. `executions`: the one that is recovered, the one that it had recovered, and so on."""

    executions: list[int]
    taken: set[int] = field(default_factory=set)  # nodes that computed what was handed over in this turn
    items: set[str] = field(default_factory=set)  # outputs of items of maps that were


def recovery_of(execution: Execution) -> Recovery | None:
    """None for an execution that recovers nothing."""
    formers = list(_formers(execution))
    return Recovery(formers) if formers else None


def _formers(execution: Execution) -> Iterator[int]:
    mode, former = execution.mode, execution.reference_id
    while mode == ExecutionMode.RECOVERED and former is not None:
        yield former
        mode, former = Execution.objects.values_list("mode", "reference_id").get(pk=former)
