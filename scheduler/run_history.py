"""The newest runs of launch plans, workflows and tasks: how they ended, and how long they took."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from psycopg import sql

from scheduler.models import LaunchPlan, Task, Workflow
from scheduler.phases import EXECUTION_FAILED, AttemptPhase, ExecutionPhase

VERSIONS = 50  # of one name whose runs are looked at: the newest
_ATTEMPT_AS = {  # so that one word means one thing for both
    AttemptPhase.SUCCEEDED: ExecutionPhase.SUCCEEDED,
    AttemptPhase.FAILED: ExecutionPhase.FAILED,
    AttemptPhase.RETRYABLE_FAILED: ExecutionPhase.FAILED,
    AttemptPhase.ABORTED: ExecutionPhase.ABORTED,
}


@dataclass(frozen=True)
class Past:
    """One execution; of a task, one attempt (at its `node`), which has the phase of an execution that ended so."""

    project: str
    domain: str
    name: str
    node: str
    phase: int
    created: datetime
    started: datetime | None
    ended: datetime | None

    def seconds(self, now: datetime) -> float:
        return ((self.ended or now) - self.started).total_seconds() if self.started is not None else 0.0


@dataclass(frozen=True)
class Figures:
    """`success`: of those that succeeded or failed, in percent; None while none has. `p50`, `p95`: seconds that those
    which succeeded took; None while none has.
    """

    count: int
    success: int | None
    p50: float | None
    p95: float | None


def figures(runs: Collection[Past]) -> Figures:
    took = sorted(one.seconds(one.ended) for one in runs if one.phase == ExecutionPhase.SUCCEEDED and one.ended)
    failed = sum(one.phase in EXECUTION_FAILED for one in runs)
    success = round(100 * len(took) / (len(took) + failed)) if took or failed else None
    return Figures(len(runs), success, percentile(took, 0.5), percentile(took, 0.95))


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Of values in order, the one that so many lie below; None of none."""
    if not ordered:
        return None
    if share == 0.5:
        return statistics.median(ordered)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


# Each version's newest runs by an index, and of all of them together the newest: no version's whole history is read.
_OF_NAMES = sql.SQL("""
SELECT asked.id, run.project, run.domain, run.name, '', run.phase, run.created_at, run.started_at, run.ended_at
FROM unnest(%(ids)s::bigint[]) AS asked (id)
JOIN {table} AS named ON named.id = asked.id
CROSS JOIN LATERAL (
    SELECT one.* FROM (
        SELECT id FROM {table} AS version
        WHERE version.project = named.project AND version.domain = named.domain AND version.name = named.name
        ORDER BY version.created_at DESC, version.id DESC LIMIT %(versions)s
    ) AS versions
    CROSS JOIN LATERAL (
        SELECT id, project, domain, name, phase, created_at, started_at, ended_at FROM scheduler_execution
        WHERE {column} = versions.id ORDER BY created_at DESC LIMIT %(most)s
    ) AS one
    ORDER BY one.created_at DESC LIMIT %(most)s
) AS run
ORDER BY run.created_at, run.id
""")
_OF_TASKS = sql.SQL("""
SELECT asked.id, execution.project, execution.domain, execution.name, node.node_id, run.phase,
       run.created_at, run.started_at, run.ended_at
FROM unnest(%(ids)s::bigint[]) AS asked (id)
JOIN scheduler_task AS named ON named.id = asked.id
CROSS JOIN LATERAL (
    SELECT one.* FROM (
        SELECT id FROM scheduler_task AS version
        WHERE version.project = named.project AND version.domain = named.domain AND version.name = named.name
        ORDER BY version.created_at DESC, version.id DESC LIMIT %(versions)s
    ) AS versions
    CROSS JOIN LATERAL (
        SELECT id, execution_id, node_id, phase, created_at, started_at, ended_at FROM scheduler_taskexecution
        WHERE task_id = versions.id ORDER BY id DESC LIMIT %(most)s
    ) AS one
    ORDER BY one.id DESC LIMIT %(most)s
) AS run
JOIN scheduler_execution AS execution ON execution.id = run.execution_id
JOIN scheduler_nodeexecution AS node ON node.id = run.node_id
ORDER BY run.created_at, run.id
""")
_TABLES = {LaunchPlan: "launch_plan_id", Workflow: "workflow_id"}
Entity = LaunchPlan | Workflow | Task


def recent(entities: Iterable[Entity], *, most: int, may_read: Callable[[str, str], bool]) -> dict[int, list[Past]]:
    """By primary key of what is given, all of one kind: the newest runs of all versions of that name, the oldest first.

    `may_read`: whether whoever asks may read in a project and domain; runs of others are left out. One query.
    """
    rows = {one.pk: one for one in entities}
    found: dict[int, list[Past]] = defaultdict(list)
    if not rows:
        return found
    kind = type(next(iter(rows.values())))
    statement: sql.Composable = _OF_TASKS
    if kind is not Task:
        table, column = sql.Identifier(kind._meta.db_table), sql.Identifier(_TABLES[kind])
        statement = _OF_NAMES.format(table=table, column=column)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"ids": list(rows), "versions": VERSIONS, "most": most})
        for pk, *columns in cursor.fetchall():
            past = Past(*columns)
            if may_read(past.project, past.domain):
                found[pk].append(past if kind is not Task else _as_execution(past))
    return found


def _as_execution(past: Past) -> Past:
    phase = _ATTEMPT_AS.get(AttemptPhase(past.phase), ExecutionPhase.RUNNING)
    return Past(past.project, past.domain, past.name, past.node, phase, past.created, past.started, past.ended)
