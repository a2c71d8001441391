"""In which lane an attempt waits for its turn (scheduler.quotas)."""

from __future__ import annotations

from functools import lru_cache

from scheduler.attempts.wire import needs_json
from scheduler.graphs import Target
from scheduler.models import Lane
from scheduler.quotas import lanes
from scheduler.shell.attempt_spec import amounts_of, container_needs
from scheduler.shell.turn import Turn


def lane_for(turn: Turn, target: Target, platform: bytes) -> int:
    """Its number; the row is written with the turn, where it is not there yet."""
    of = turn.execution
    lane = _lane(target, platform, of.project, of.domain, of.principal, turn.launch_plan, of.priority)
    turn.lanes[lane.id] = lane
    return lane.id


@lru_cache(maxsize=1024)
def _lane(
    target: Target, platform: bytes, project: str, domain: str, user: str, launch_plan: str, priority: int
) -> Lane:
    """The same for all attempts of a node, and of many executions: worked out once."""
    return lanes.row_of(
        project=project,
        domain=domain,
        user=user,
        launch_plan=launch_plan,
        priority=priority,
        resources=amounts_of(target, platform),
        needs=needs_json(container_needs(target, platform)),
        waits_only=target.task is not None and target.task.metadata.is_eager,
    )
