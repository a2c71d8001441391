"""Wake-ups: hints that something may be done now. Losing one delays work until the sweep; twice is harmless.

Each function may be called inside a transaction and takes effect after its commit. Tasks are called by their names:
who wakes somebody need not know what he does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Literal

import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)

TaskName = Literal[
    "admit_executions",
    "advance_execution",
    "advance_executions",
    "apply_retention",
    "deliver_notifications",
    "evaluate_triggers",
    "evaluate_triggers_of",
    "handle_happening",
    "judge_data_of",
    "settle_trigger_queue",
]
TOGETHER = 200  # versions in one wake-up of their triggers
SHARE = 10  # executions in one wake-up, of many that begin at once: several workers share them
BEHIND = 3  # Celery's priority of these: behind what else there is to do, triggers of the rest of a burst among it
LATE = timedelta(seconds=60)  # what nobody took by then is not needed: the sweep does the same


@cache
def broker() -> redis.Redis:
    """The Redis-protocol connection (pooled, thread-safe) that executors wait on."""
    times = {"socket_timeout": settings.WAKE_TIMEOUT, "socket_connect_timeout": settings.WAKE_TIMEOUT}
    return redis.Redis.from_url(settings.WAKE_URL, **times)


@cache
def _application() -> Any:
    """Celery's, imported with the first wake-up: an executor that has nothing to do sends none."""
    return import_string(settings.WAKE_APPLICATION)


def _after_commit(send: Callable[[], object], what: str) -> None:
    transaction.on_commit(partial(_quietly, send, what))


def _quietly(send: Callable[[], object], what: str) -> None:
    try:
        send()
    except Exception as error:  # noqa: BLE001 - the broker may be down; the sweep will do it
        logger.warning("wake-up of %s lost: %s", what, error)


def _send(task: TaskName, *args: object, **options: Any) -> None:
    _application().send_task(f"scheduler.tasks.{task}", args, **options)


MOST_AT_ONCE = 20  # happenings whose consequences one turn does by itself


@dataclass
class Turn:
    """What a worker goes on with by itself. `executions`: at most one, the others go to other workers. Where it
    `gathers`, all of them, and it goes on with none: they are sent together at the end.
    """

    gathers: bool = False
    executions: list[int] = field(default_factory=list)
    happenings: list[int] = field(default_factory=list)
    room: int = MOST_AT_ONCE  # for so many more happenings: a chain of them without end does not hold a worker


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


@contextmanager
def one_turn(*, gathers: bool = False) -> Iterator[Turn]:
    """What is woken in here is kept for the caller, who does it next: that spares the way through the broker.

    Of executions the first is kept, of happenings MOST_AT_ONCE. Those that the caller leaves in the list, because
    something raised, are sent after all; what a killed worker leaves, the sweep finds.
    """
    turn = Turn(gathers)
    token = _turn.set(turn)
    try:
        yield turn
    finally:
        _turn.reset(token)
        for happening_id in turn.happenings:
            wake_happening(happening_id)
        if turn.gathers:
            _send_executions(turn.executions)


def _send_executions(ids: list[int]) -> None:
    for start in range(0, len(ids), SHARE):
        one, *others = share = ids[start : start + SHARE]
        many = partial(_send, "advance_executions", share, priority=BEHIND)
        send = many if others else partial(_send, "advance_execution", one)
        _quietly(send, f"executions {share}")


def wake_execution(execution_id: int) -> None:
    """Have the execution evaluated."""

    def send() -> None:
        turn = _turn.get()
        if turn is not None and (turn.gathers or not turn.executions):
            turn.executions.append(execution_id)
        elif turn is None or execution_id not in turn.executions:
            _send("advance_execution", execution_id)

    _after_commit(send, f"execution {execution_id}")


def wake_execution_at(execution_id: int, at: datetime) -> None:
    """Have the execution evaluated at a time to come. Only for the near future: what is further off the sweep finds."""
    _after_commit(lambda: _send("advance_execution", execution_id, eta=at), f"execution {execution_id} at {at}")


def wake_admission() -> None:
    """Have those executions started that quotas let go now."""
    _after_commit(lambda: _send("admit_executions", expires=LATE.total_seconds()), "waiting executions")


_admission_to_come: list[datetime] = []  # the one that this process asked for last, if any


def wake_admission_at(at: datetime) -> None:
    """As `wake_admission`, at a time to come; once while one that this process asked for is to come no later."""

    def send() -> None:
        if _admission_to_come and timezone.now() < _admission_to_come[0] <= at:
            return  # it will ask for the next one itself
        _send("admit_executions", eta=at, expires=at + LATE)
        _admission_to_come[:] = [at]

    _after_commit(send, f"waiting executions at {at}")


def wake_triggers(version_id: int) -> None:
    """Have the triggers of a newly published artifact version evaluated. Versions published together go together."""
    waiting = _last_after_commit()
    if waiting is not None and len(waiting.version_ids) < TOGETHER:
        waiting.version_ids.append(version_id)
    else:
        transaction.on_commit(_TriggersToWake(version_id))  # at once, where there is no transaction


class _TriggersToWake:
    """Runs after the commit of the transaction, or with its rollback is forgotten."""

    def __init__(self, version_id: int) -> None:
        self.version_ids = [version_id]

    def __call__(self) -> None:
        one, *others = ids = self.version_ids
        send = partial(_send, "evaluate_triggers_of", ids) if others else partial(_send, "evaluate_triggers", one)
        _quietly(send, f"triggers of versions {ids}")


def _last_after_commit() -> _TriggersToWake | None:
    """The wake-up of triggers registered last, if it depends on the same savepoints as what is done now."""
    connection = transaction.get_connection()
    if not connection.in_atomic_block or not connection.run_on_commit:
        return None
    savepoints, function, *_ = connection.run_on_commit[-1]
    same = savepoints == set(connection.savepoint_ids)
    return function if same and isinstance(function, _TriggersToWake) else None


def wake_happening(happening_id: int) -> None:
    """Have what follows from the happening done."""
    transaction.on_commit(_HappeningToWake(happening_id))


@dataclass(frozen=True)
class _HappeningToWake:
    """Runs after the commit of the transaction, or with its rollback is forgotten."""

    happening_id: int

    def __call__(self) -> None:
        turn = _turn.get()
        if turn is not None and turn.room:
            turn.room -= 1
            turn.happenings.append(self.happening_id)
            return
        send = partial(_send, "handle_happening", self.happening_id)
        _quietly(send, f"what follows from happening {self.happening_id}")


def commit_with_the_next() -> None:
    """Last in a transaction of a turn: where the turn goes on with what this one recorded, the next commit makes this
    one durable too. If the machine stops in between, it is as if neither was done: the sweep does both.
    """
    connection, turn = transaction.get_connection(), _turn.get()
    goes_on = any(isinstance(function, _HappeningToWake) for _, function, *_ in connection.run_on_commit)
    if goes_on and turn is not None and turn.room:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")


def wake_data_checks(version_id: int) -> None:
    """Have the data of the version read for its checks."""
    _after_commit(lambda: _send("judge_data_of", version_id), f"data checks of version {version_id}")


def wake_trigger_queue(trigger_id: int) -> None:
    """Have the queue of a trigger looked at: a place may have become free."""
    _after_commit(lambda: _send("settle_trigger_queue", trigger_id), f"queue of trigger {trigger_id}")


def wake_notifications() -> None:
    """Have what the outbox of notifications holds sent."""
    # One that nobody took by then is not needed: the tick asks for the same.
    _after_commit(lambda: _send("deliver_notifications", expires=60), "notifications")


def continue_retention(after: int) -> None:
    """Have retention go on behind the policy with this key."""
    _after_commit(lambda: _send("apply_retention", after), "retention")


def executor_channel(executor: str, cluster: str = "") -> str:
    return f"causeway:executor:{executor}:{cluster}" if cluster else f"causeway:executor:{executor}"


def wake_executor(executor: str, cluster: str = "") -> None:
    """Have the executor look for queued attempts and cancellations. It blocks on this list with a time-out."""

    def send() -> None:
        channel = executor_channel(executor, cluster)
        with broker().pipeline(transaction=False) as pipe:
            pipe.lpush(channel, 1)
            pipe.ltrim(channel, 0, 0)  # one pending hint is as good as many
            pipe.execute()

    _after_commit(send, f"executor {executor} {cluster}".rstrip())
