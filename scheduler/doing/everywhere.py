"""What all executions do, in a word: for searches and counts. One statement, whatever waits; only what is asked for
leaves the database. Reasons and places are told of the rows that are shown (scheduler.doing).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from scheduler.doing import sources
from scheduler.doing.states import RANKS, State
from scheduler.models import Execution
from scheduler.phases import ExecutionPhase
from scheduler.quotas.why import Picture
from scheduler.statements import Statement, execute

GOES_ON = (ExecutionPhase.UNDEFINED, ExecutionPhase.QUEUED, ExecutionPhase.RUNNING)
_AT = {rank: state for state, rank in RANKS.items()}
# What an execution does that others started counts for these; of what nothing is active it is the engine's turn.
_STATES = """
WITH RECURSIVE unfinished AS MATERIALIZED (
    SELECT id, phase, parent_node_id FROM scheduler_execution WHERE ended_at IS NULL {of_these}
), started AS MATERIALIZED (
    SELECT one.id, node.execution_id AS above
    FROM unfinished one JOIN scheduler_nodeexecution node ON node.id = one.parent_node_id
), told AS (
    SELECT execution, max(rank) AS rank FROM ({facts}) AS facts (execution, rank) GROUP BY execution
    UNION
    SELECT started.above, told.rank FROM told JOIN started ON started.id = told.execution
)
SELECT one.id, coalesce(max(told.rank), CASE WHEN one.phase = {running} THEN {rank_running} ELSE {rank_queued} END)
FROM unfinished one LEFT JOIN told ON told.execution = one.id
WHERE one.phase IN ({goes_on}) GROUP BY one.id, one.phase
"""


# And what others started: it counts for whoever started it.
_OF_THESE = "AND (id = ANY(%s) OR parent_node_id IS NOT NULL)"


def states(pks: Collection[int] | None = None) -> Statement:
    """Rows of execution and rank (RANKS), of all that go on; of `pks`, and maybe others, where these are wanted."""
    picture = Picture()
    facts = [source.ranks(picture) for source in sources.SOURCES]
    sql = _STATES.format(
        of_these="" if pks is None else _OF_THESE,
        facts=" UNION ALL ".join(f"({one})" for one, _ in facts),
        running=int(ExecutionPhase.RUNNING),
        rank_running=RANKS[State.RUNNING],
        rank_queued=RANKS[State.QUEUED],
        goes_on=", ".join(str(int(phase)) for phase in GOES_ON),
    )
    of_these = [] if pks is None else [list(pks)]
    return sql, [*of_these, *(value for _, values in facts for value in values)]


def executions_in(*wanted: State) -> RawSQL:
    """The primary keys of the executions that are in one of the states now: for `pk__in`."""
    sql, values = states()
    ranks = [RANKS[state] for state in wanted]
    return RawSQL(f"SELECT id FROM ({sql}) AS doing (id, rank) WHERE rank = ANY(%s)", (*values, ranks))  # noqa: S608, S611


def counts(executions: QuerySet[Execution]) -> Counter[State]:
    """How many of them do what."""
    sql, values = states()
    these, given = executions.filter(ended_at__isnull=True).order_by().values("pk").query.sql_with_params()
    sql = (
        f"SELECT rank, count(*) FROM ({sql}) AS doing (id, rank) "  # noqa: S608
        f"WHERE id IN ({these}) GROUP BY rank"
    )
    return Counter({_AT[rank]: count for rank, count in execute([(sql, [*values, *given])])[0].returned})


def states_of(pks: Collection[int]) -> dict[int, State]:
    """Of those that go on."""
    if not pks:
        return {}
    sql, values = states(pks)
    sql = f"SELECT id, rank FROM ({sql}) AS doing (id, rank) WHERE id = ANY(%s)"  # noqa: S608
    found: list[tuple[Any, ...]] = execute([(sql, [*values, list(pks)])])[0].returned
    return {pk: _AT[rank] for pk, rank in found}
