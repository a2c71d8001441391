"""Outputs of runs beside production: published, and never taken for production's.

A version that is a shadow is quarantined from its publication on and cannot be let out; no trigger looks at it, no
alias names it, nothing promotes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

from artifacts.models import ArtifactVersion

_called_by_shadow: ContextVar[int | None] = ContextVar("called_by_shadow", default=None)


def call_by_shadow(shadow: int | None) -> None:
    """Said by the doors of each call: what the running task that calls is a shadow of; None: of nothing."""
    _called_by_shadow.set(shadow)


def shadow_of_call() -> int | None:
    """What this call's task is a shadow of, as whoever launched it counts (scheduler.models.Contest)."""
    return _called_by_shadow.get()


def mark(rows: Sequence[ArtifactVersion]) -> None:
    """Rows about to be inserted, as outputs of a shadow run: nothing is left to be set off by them."""
    for row in rows:
        row.is_shadow, row.quarantined_at, row.triggers_evaluated_at = True, row.created_at, row.created_at
