"""How the installation does, in numbers: what `/metrics` tells Prometheus and the page of figures tells people.

All of it is read from the database and the broker, so every web process says the same. What is waiting now is counted
by the partial indexes that find it; what grows is in `scheduler.models.Figure`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper

from scheduler import figures, heartbeat
from scheduler.phases import ATTEMPT_HELD, ATTEMPT_TERMINAL, AttemptPhase, ExecutionPhase
from scheduler.wake import broker

Labels = tuple[tuple[str, str], ...]
SECONDS = 5  # for the statement
_GROWN = "="  # marks what is in `Figure`, with its labels written out


@dataclass(frozen=True)
class Kind:
    """A figure: what it counts, and the names of its labels. `type` is Prometheus's."""

    name: str
    help: str
    type: str = "gauge"
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    labels: Labels
    value: float


KINDS = {
    kind.name: kind
    for kind in (
        Kind("causeway_up", "Whether a part answers; /readyz asks the object store too.", labels=("part",)),
        Kind("causeway_executions", "Executions that have not ended, by phase.", labels=("phase",)),
        Kind("causeway_executions_held", "Executions that a quota keeps from starting."),
        Kind(
            "causeway_attempts",
            "Attempts that are queued or that an executor has, by phase.",
            labels=("executor", "cluster", "phase"),
        ),
        Kind(
            "causeway_oldest_queued_seconds",
            "Since when the oldest queued attempt waits.",
            labels=("executor", "cluster"),
        ),
        Kind(
            "causeway_executor_asked",
            "What the attempts that an executor has ask for: cores, bytes, GPUs.",
            labels=("executor", "cluster", "resource"),
        ),
        Kind(
            "causeway_executor_capacity",
            "What executors that are alive have: cores, bytes, GPUs.",
            labels=("executor", "cluster", "resource"),
        ),
        Kind("causeway_executors_alive", "Executor processes heard of lately.", labels=("executor", "cluster")),
        Kind("causeway_triggers_waiting", "Versions that wait at a trigger, by what for.", labels=("why",)),
        Kind("causeway_gates_waiting", "Gates that wait for a person or a signal."),
        Kind("causeway_schedules_late", "Schedules that were due more than a few seconds ago."),
        Kind("causeway_notifications_waiting", "Notifications that are to be sent, or sent again."),
        Kind("causeway_lineage_events_waiting", "OpenLineage events that are to be sent, or sent again."),
        Kind("causeway_late_work", "Work whose wake-up seems lost; the next sweep does it.", labels=("what",)),
        Kind("causeway_rows", "About how many rows there are, as the database estimates.", labels=("of",)),
        Kind("causeway_database_sessions", "Sessions of the database by state.", labels=("state",)),
        Kind("causeway_database_sessions_max", "How many sessions the database allows."),
        Kind("causeway_database_oldest_transaction_seconds", "Age of the oldest transaction."),
        Kind("causeway_database_bytes", "Size of the database on disk."),
        Kind("causeway_database_answer_seconds", "How long the database took for the figures."),
        Kind("causeway_broker_answer_seconds", "How long the broker took for a ping."),
        Kind("causeway_broker_messages", "Wake-ups that no worker took yet.", labels=("queue",)),
        Kind(figures.EXECUTIONS, "Executions that ended, by phase.", "counter", ("phase",)),
        Kind(
            figures.ATTEMPTS,
            "Attempts that ended, by phase and the code of their error.",
            "counter",
            ("phase", "executor", "code"),
        ),
        Kind(figures.SWEPT, "What sweeps found that nobody had taken in time.", "counter", ("what",)),
        Kind(figures.REACTION, "From a version's publication to the launch by its trigger.", "histogram"),
        Kind(figures.QUEUED, "How long attempts that run now were queued.", "histogram", ("executor",)),
    )
}

# One statement: most of what a figure costs is asking for it.
_ALL = f"""
    SELECT 'causeway_executions', phase::text, '', '', count(*)::float8
    FROM scheduler_execution WHERE ended_at IS NULL GROUP BY phase
    UNION ALL
    SELECT 'causeway_executions_held', '', '', '', count(*) FROM scheduler_execution
    WHERE waits_since IS NOT NULL AND phase = 1
    UNION ALL
    SELECT 'causeway_attempts', executor, cluster, '1', count(*) FROM scheduler_taskexecution
    WHERE phase = 1 GROUP BY executor, cluster
    UNION ALL
    SELECT 'causeway_attempts', executor, cluster, phase::text, count(*) FROM scheduler_taskexecution
    WHERE phase = ANY(%(held)s) GROUP BY executor, cluster, phase
    UNION ALL
    SELECT 'causeway_oldest_queued_seconds', executor, cluster, '', extract(epoch FROM now() - min(created_at))
    FROM scheduler_taskexecution WHERE phase = 1 GROUP BY executor, cluster
    UNION ALL
    SELECT 'causeway_executor_asked', executor, cluster, asked.key, sum(asked.value::float8)
    FROM scheduler_taskexecution CROSS JOIN LATERAL jsonb_each_text(resources) AS asked
    WHERE phase = ANY(%(held)s) AND asked.key IN ('cpu', 'memory', 'gpu') GROUP BY executor, cluster, asked.key
    UNION ALL
    SELECT 'causeway_executors_alive', executor, cluster, '', count(*) FROM scheduler_executorinstance
    WHERE seen_at > now() - make_interval(secs => %(alive)s) GROUP BY executor, cluster
    UNION ALL
    SELECT 'causeway_executor_capacity', executor, cluster, has.key, sum(has.value::float8)
    FROM scheduler_executorinstance CROSS JOIN LATERAL jsonb_each_text(capacity) AS has
    WHERE seen_at > now() - make_interval(secs => %(alive)s) AND has.key IN ('cpu', 'memory', 'gpu')
        AND has.value ~ '^[0-9.]+$' GROUP BY executor, cluster, has.key
    UNION ALL
    SELECT 'causeway_triggers_waiting', outcome, '', '', count(*) FROM scheduler_triggerfiring
    WHERE outcome IN ('waiting', 'unresolved') GROUP BY outcome
    UNION ALL
    SELECT 'causeway_gates_waiting', '', '', '', count(*) FROM scheduler_gate
    WHERE decided_at IS NULL AND waiting_since IS NOT NULL
    UNION ALL
    SELECT 'causeway_schedules_late', '', '', '', count(*) FROM scheduler_schedule
    WHERE active AND paused_at IS NULL AND next_fire_at < now() - interval '5 seconds'
    UNION ALL
    SELECT 'causeway_notifications_waiting', '', '', '', count(*) FROM scheduler_notification
    WHERE sent_at IS NULL AND given_up_at IS NULL
    UNION ALL
    SELECT 'causeway_lineage_events_waiting', '', '', '', count(*) FROM lineage_runevent
    WHERE sent_at IS NULL AND given_up_at IS NULL
    UNION ALL
    SELECT 'causeway_rows', named.of, '', '', greatest(reltuples, 0) FROM pg_class
    JOIN (VALUES ('artifacts_artifactversion', 'versions'), ('scheduler_execution', 'executions'),
        ('scheduler_taskexecution', 'attempts'), ('lineage_versionedge', 'edges')) AS named(relation, of)
        ON pg_class.oid = named.relation::regclass
    UNION ALL
    SELECT 'causeway_database_sessions', COALESCE(state, 'other'), '', '', count(*) FROM pg_stat_activity
    WHERE datname = current_database() GROUP BY state
    UNION ALL
    SELECT 'causeway_database_sessions_max', '', '', '', current_setting('max_connections')::float8
    UNION ALL
    SELECT 'causeway_database_oldest_transaction_seconds', '', '', '',
        COALESCE(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    UNION ALL
    SELECT 'causeway_late_work', late.what, '', '', late.number FROM ({figures.LATE_WORK}) AS late
    UNION ALL
    SELECT name, labels, '{_GROWN}', '', value FROM scheduler_figure
"""  # noqa: S608 - of constants
MEASURED_FOR = 60.0  # seconds: the size is that of every file, which takes longer than all other figures together
_size: tuple[float, float] = (-MEASURED_FOR, 0.0)  # when (monotonic), bytes


def gather() -> dict[str, list[Sample]]:
    """The samples of every figure by its name; a part that does not answer has none but `causeway_up` 0."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for part in (_from_database, _from_broker):
        for name, sample in part():
            found[name].append(sample)
    broker_answers = bool(found["causeway_broker_answer_seconds"])  # one that hangs is not asked again
    alive = {
        "database": bool(found["causeway_database_answer_seconds"]),
        "broker": broker_answers,
        "workers": broker_answers and _is_alive("worker"),
        "slow": broker_answers and _is_alive("slow"),
        "executor": bool(found["causeway_executors_alive"]),
    }
    found["causeway_up"] = [Sample((("part", part),), float(up)) for part, up in alive.items()]
    return found


def _is_alive(kind: str) -> bool:
    try:
        return heartbeat.is_alive(kind)
    except redis.RedisError:
        return False


def _from_database() -> Iterator[tuple[str, Sample]]:
    began = time.perf_counter()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SECONDS}s"])
            known = {"held": sorted(ATTEMPT_HELD), "alive": heartbeat.SECONDS, **figures.OF_LATE_WORK}
            cursor.execute(_ALL, known)
            rows = cursor.fetchall()
            size = _database_size(cursor)
    except DatabaseError:
        return
    yield "causeway_database_bytes", Sample((), size)
    yield "causeway_database_answer_seconds", Sample((), time.perf_counter() - began)
    for name, *values, value in rows:
        if values[1] != _GROWN:
            yield name, Sample(_named(name, values), float(value))
        elif name in KINDS:  # of a later version, or an earlier one
            labels = (label.partition("=") for label in values[0].split(",") if label)
            yield name, Sample(tuple((label, said) for label, _, said in labels), value)


def _database_size(cursor: CursorWrapper) -> float:
    """In bytes, as it was at most MEASURED_FOR ago."""
    global _size
    if time.monotonic() - _size[0] >= MEASURED_FOR:
        cursor.execute("SELECT pg_database_size(current_database())")
        _size = time.monotonic(), float(cursor.fetchone()[0])
    return _size[1]


def _named(name: str, values: list[str]) -> Labels:
    labels = KINDS[name].labels
    phases = ExecutionPhase if name == "causeway_executions" else AttemptPhase
    shown = [
        phases(int(value)).name if label == "phase" else value for label, value in zip(labels, values, strict=False)
    ]
    return tuple(zip(labels, shown, strict=True))


def _from_broker() -> Iterator[tuple[str, Sample]]:
    began = time.perf_counter()
    queues = (settings.CELERY_TASK_DEFAULT_QUEUE, settings.SLOW_QUEUE)
    try:
        lengths = [broker().llen(queue) for queue in queues]
    except redis.RedisError:
        return
    yield "causeway_broker_answer_seconds", Sample((), time.perf_counter() - began)
    for queue, length in zip(queues, lengths, strict=True):
        yield "causeway_broker_messages", Sample((("queue", queue),), float(length))


# Of the last hour, from the rows themselves: the newest RECENT of them.
HOUR = 3600
RECENT = 10_000
_REACTIONS = """
    SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
    FROM (SELECT latency_ms, at FROM scheduler_triggerfiring WHERE at > now() - make_interval(secs => %s)
          ORDER BY at DESC, id DESC LIMIT %s) AS recent WHERE latency_ms IS NOT NULL
"""
_QUEUES = """
    SELECT count(*), 1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY waited),
        1000 * percentile_cont(0.95) WITHIN GROUP (ORDER BY waited)
    FROM (SELECT extract(epoch FROM started_at - created_at)::float8 AS waited FROM scheduler_taskexecution
          WHERE ended_at > now() - make_interval(secs => %s) AND started_at IS NOT NULL LIMIT %s) AS recent
"""
_ENDS = """
    SELECT phase, executor, count(*)::float8 FROM scheduler_taskexecution
    WHERE ended_at > now() - make_interval(secs => %s) AND phase = ANY(%s) GROUP BY phase, executor ORDER BY 3 DESC
"""


@dataclass(frozen=True)
class Latency:
    """Of so many in the last hour; in milliseconds, None where there were none."""

    name: str
    count: int
    median: float | None
    p95: float | None


def last_hour() -> list[Latency]:
    found = []
    with connection.cursor() as cursor:
        for name, query in (("From publication to launch", _REACTIONS), ("From queued to running", _QUEUES)):
            cursor.execute(query, [HOUR, RECENT])
            found.append(Latency(name, *cursor.fetchone()))
    return found


def ends_of_last_hour() -> list[tuple[str, str, int]]:
    """(phase, executor, how many) of the attempts that ended, most first."""
    with connection.cursor() as cursor:
        cursor.execute(_ENDS, [HOUR, sorted(ATTEMPT_TERMINAL)])
        return [(AttemptPhase(phase).name, executor, int(count)) for phase, executor, count in cursor.fetchall()]
