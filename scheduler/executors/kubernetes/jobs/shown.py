"""Replicas as people see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from scheduler.attempts.observations import Replica
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.ending import verdict
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Rank, Seen

MOST = 1000  # of one job
LONGEST = 300  # letters of what one says


def shown(
    found: Mapping[Rank, Seen], uri_of: Callable[[Rank], str], left: Mapping[Rank, Seen] | None = None
) -> tuple[Replica, ...]:
    """In the order of their roles and numbers. `left`: those that are gone, as they were seen last, before an end."""
    every = {**(left or {}), **found}
    order = sorted(every, key=lambda rank: (rank.role, rank.index))[:MOST]
    told = {rank: _replica(rank, every[rank], uri_of(rank)) for rank in order}
    return tuple(one if rank in found else replace(one, state="stopped", reason="") for rank, one in told.items())


def _replica(rank: Rank, pod: Seen, log_uri: str) -> Replica:
    main = pods.primary_of(pod)
    state, reason = _state(pod)
    end = replicas.main_end(pod)
    return Replica(
        name=rank.name,
        role=rank.role,
        index=rank.index,
        pod=pods.name_of(pod),
        node=pods.text(pod, "spec", "nodeName"),
        state=state,
        reason=reason[:LONGEST],
        exit_code=pods.exit_code(end) if end is not None else None,
        started_at=pods.started_at(pod, main),
        ended_at=pods.finished_at(pod, main) if end is not None else None,
        restarts=_restarts(pod, main),
        log_uri=log_uri,
    )


def _state(pod: Seen) -> tuple[str, str]:
    if replicas.is_over(pod):
        found = verdict(pod)
        if not found.failed:
            return "succeeded", ""
        return ("stopped", "") if found.code == "DeletedByOthers" else ("failed", f"{found.code}: {found.message}")
    if replicas.has_started(pod):
        return "running", ""
    told = [pods.part(one, "state", "waiting") for one in pods.statuses(pod)]
    said = next((f"{pods.text(one, 'reason')} {pods.text(one, 'message')}".strip() for one in told if one), "")
    return "waiting", said or pods.text(pods.condition(pod, "PodScheduled"), "message")


def _restarts(pod: Seen, main: str) -> int:
    told = pods.status_of(pod, main).get("restartCount")
    return told if isinstance(told, int) else 0
