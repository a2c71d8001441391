"""The replicas of an attempt that is a job of several processes: a picture of its ranks, and what each does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from console.pages import badges
from console.pages.badges import Badge
from console.pages.map_items import SIDE
from scheduler.attempts import replicas
from scheduler.attempts.observations import Replica
from scheduler.models import TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL

SHOWN = 100  # in the table; the picture has all
FEW, MANY = 25, 50  # squares in a row, of at most SHOWN replicas and of more
_FIRST = ("failed", "waiting")  # in a table that has not all
BADGES = {
    "waiting": badges.WAITING,
    "running": badges.RUNNING,
    "succeeded": badges.SUCCEEDED,
    "failed": badges.FAILED,
    "stopped": Badge("Stopped", "odd"),
}


@dataclass(frozen=True)
class Shown:
    """`x`, `y`: of its square in the picture."""

    replica: Replica
    badge: Badge
    x: int
    y: int

    @property
    def words(self) -> str:
        where = f" on {self.replica.node}" if self.replica.node else ""
        return f"{self.replica.name}: {self.badge.label.lower()}{where}"


def replicas_context(row: TaskExecution) -> dict[str, Any]:
    """What executions/_replicas.html shows; empty for an attempt that is a single process. One query."""
    found = replicas.of(row)
    if not found:
        return {}
    over = row.phase in ATTEMPT_TERMINAL
    columns = FEW if len(found) <= SHOWN else MANY
    shown = [_shown(divmod(place, columns), one, over=over) for place, one in enumerate(found)]
    counts: dict[Badge, int] = {}
    for one in shown:
        counts[one.badge] = counts.get(one.badge, 0) + 1
    return {
        "replicas": shown,
        "replicas_in_table": _in_table(shown),
        "replicas_attempt": row,
        "replica_counts": list(counts.items()),
        "replicas_width": columns * SIDE,
        "replicas_height": ((len(shown) - 1) // columns + 1) * SIDE,
    }


def _in_table(shown: list[Shown]) -> list[Shown]:
    """In the order of the picture; where there are too many, those first that somebody looks for."""
    if len(shown) <= SHOWN:
        return shown
    order = sorted(shown, key=lambda one: _FIRST.index(one.replica.state) if one.replica.state in _FIRST else 2)
    return order[:SHOWN]


def _shown(place: tuple[int, int], one: Replica, *, over: bool) -> Shown:
    """Of a job that is over whatever still ran was stopped with it: nobody watched that any more."""
    state = "stopped" if over and one.state in ("running", "waiting") else one.state
    badge = BADGES.get(state, badges.WAITING)
    row, column = place
    return Shown(one, badge, column * SIDE, row * SIDE)
