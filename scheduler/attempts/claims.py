"""How an executor takes queued attempts: what it chooses among the next in its queue is INITIALIZING and its own."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from artifacts.arrays import column_of
from artifacts.prepared import prepared
from scheduler.attempts import in_turns
from scheduler.attempts.choices import Choice as Choice  # executors' packings ask for them here
from scheduler.attempts.choices import Packing as Packing
from scheduler.attempts.choices import Queued as Queued
from scheduler.attempts.moves import move
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import SYSTEM, Outcome, failure
from scheduler.attempts.phases import HELD, UNCLAIMED
from scheduler.attempts.reports import end_all
from scheduler.attempts.resources import Resources
from scheduler.models import ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.statements import execute, select
from scheduler.uris import log_of

LOOK_AHEAD = 64  # queued attempts looked at in one claim
AT_A_TIME = 200  # rows of attempts to adopt
FAR = 1000  # queued attempts among which those that ask for something else are looked for
_QUEUED = f"executor = %s::text AND cluster = %s::text AND phase = {int(AttemptPhase.QUEUED)}"
# Without locks: what others take meanwhile, the move into the next phase finds out. Where quotas are set turns are
# taken between lanes (in_turns): then none of these is read. Where nothing is queued, one row of NULLs.
CANDIDATES = f"""
SELECT asked.has_quotas AND EXISTS (SELECT FROM scheduler_taskexecution WHERE {_QUEUED}) AS counted,
    queued.id, queued.resources, queued.created_at, queued.reason, queued.task_id
FROM (SELECT EXISTS (SELECT FROM scheduler_quota) AS has_quotas) AS asked LEFT JOIN LATERAL (
    SELECT id, resources, created_at, reason, task_id, priority FROM scheduler_taskexecution
    WHERE NOT asked.has_quotas AND {_QUEUED} ORDER BY priority DESC, id LIMIT {LOOK_AHEAD}
) AS queued ON true
ORDER BY queued.priority DESC, queued.id
"""  # noqa: S608 - constants
FURTHER_CANDIDATES = f"""
SELECT * FROM (
    SELECT id, resources, created_at, reason, task_id FROM scheduler_taskexecution
    WHERE {_QUEUED} ORDER BY priority DESC, id LIMIT {FAR}
) AS queued WHERE resources <> ALL(%s::jsonb[]) LIMIT {LOOK_AHEAD}
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Claim:
    rows: list[TaskExecution]
    more: bool  # whether attempts stay queued that may fit once something has ended
    counted: bool  # whether quotas had a say: then it may fit once that end is in the database


def claim(executor: str, instance: str, packing: Packing, *, now: datetime, cluster: str = "") -> Claim:
    """Take queued attempts that the packing chooses, by priority and age: INITIALIZING and committed.

    One that it refuses ends at once. One that has to wait says what for in its reason. Where no quota has a say, and
    all that is chosen fits, nothing is locked before the move: it is a transaction by itself.
    """
    choice = packing.choice
    with prepared() as cursor:
        cursor.execute(CANDIDATES, [executor, cluster, executor, cluster])
        found = cursor.fetchall()
    if counted := bool(found[0][0]):
        with transaction.atomic():
            more = in_turns.choose(executor, cluster, packing, now=now, most=LOOK_AHEAD)
            return Claim(_settle(choice, instance, now=now), more, counted)
    more = _in_order([Queued(*told) for _, *told in found if told[0] is not None], packing, executor, cluster)
    if not choice.refused and not choice.unsaid:
        return Claim(_take(choice.fitting, instance, now=now), more, counted)
    with transaction.atomic():
        return Claim(_settle(choice, instance, now=now), more, counted)


def _settle(choice: Choice, instance: str, *, now: datetime) -> list[TaskExecution]:
    """Write down all of the choice; what was taken."""
    if choice.refused:
        end_all([Ended(pk, outcome, now) for pk, outcome in choice.refused], actor=instance)
    taken = _take(choice.fitting, instance, now=now)
    for words, pks in choice.waiting.items():
        if unsaid := [pk for pk in pks if pk in choice.unsaid]:
            _say(unsaid, words)
    return taken


def _say(ids: Sequence[int], words: str) -> None:
    """What they wait for. Of those that another executor is about to take it is not said: two that waited for each
    other's rows would wait for ever.
    """
    queued = TaskExecution.objects.filter(pk__in=ids, phase=AttemptPhase.QUEUED)
    free = queued.order_by("pk").select_for_update(skip_locked=True).values("pk")
    TaskExecution.objects.filter(pk__in=free).update(reason=words)


def _in_order(queued: Sequence[Queued], packing: Packing, executor: str, cluster: str) -> bool:
    """By priority and age; whether attempts stay queued."""
    choice = packing.choice
    packing.sort(queued)
    more = len(queued) == LOOK_AHEAD or len(queued) > len(choice.fitting) + len(choice.refused)
    if len(queued) == LOOK_AHEAD and choice.waiting and packing.has_room():
        # Behind many that wait for the same, others may fit.
        packing.sort(_further(executor, cluster, without=sorted(choice.shapes)))
    return more


def _further(executor: str, cluster: str, *, without: Sequence[str]) -> list[Queued]:
    """The next in the queue that do not ask for just these resources (JSON), as far as FAR goes."""
    given = [executor, cluster, list(without)]
    return [Queued(*found) for found in execute([(FURTHER_CANDIDATES, given)])[0].returned]


def _take(ids: list[int], instance: str, *, now: datetime) -> list[TaskExecution]:
    """Those of the queued attempts that no other executor was faster to take."""
    if not ids:
        return []
    of_these = "id = ANY(%s::bigint[]) ORDER BY priority DESC, id"
    rows = select(TaskExecution, of_these, [column_of(ids)], planned=True)
    for row in rows:
        row.claimed_by, row.log_uri = instance, row.log_uri or log_uri(row)
        row.phase = AttemptPhase.INITIALIZING
    fields = ("phase", "claimed_by", "log_uri")
    reports = [{"id": row.pk, "at": now, **{name: getattr(row, name) for name in fields}} for row in rows]
    taken = {moved.id for moved in move(reports, actor=instance, expected=UNCLAIMED)}
    return [row for row in rows if row.pk in taken]


def log_uri(row: TaskExecution) -> str:
    """Where the log of the attempt will be, whoever writes it."""
    told = str(row.command.get("log_uri") or "")
    return told or log_of(str(row.command.get("output_prefix", "")), row.index, otherwise=row.name)


def held_by(instance: str, *, known: Container[int] = ()) -> Iterator[TaskExecution]:
    """The attempts an instance has claimed and not ended, without those it knows: what it has to adopt when it starts.

    A cluster holds ten thousands: their ids are read at once, their rows a few at a time.
    """
    ids = TaskExecution.objects.filter(claimed_by=instance, phase__in=HELD).order_by("pk").values_list("pk", flat=True)
    unknown = [pk for pk in ids if pk not in known]
    for first in range(0, len(unknown), AT_A_TIME):
        yield from select(TaskExecution, "id = ANY(%s) ORDER BY id", [unknown[first : first + AT_A_TIME]])


def cancelled(instance: str) -> list[int]:
    """Ids of the attempts this instance holds and should stop."""
    rows = TaskExecution.objects.filter(claimed_by=instance, phase__in=HELD, cancel_requested=True)
    return list(rows.values_list("pk", flat=True))


def heartbeat(
    instance: str,
    executor: str,
    capacity: Resources,
    *,
    now: datetime,
    starting: bool = False,
    cluster: str = "",
    kept: Sequence[dict[str, Any]] = (),
) -> None:
    """Say that the instance is alive. `cluster`: whose pods it looks after; `kept`: Executor.kept."""
    defaults = {"executor": executor, "cluster": cluster, "capacity": capacity.as_json(), "seen_at": now}
    defaults["kept"] = list(kept)
    first = {"started_at": now} if starting else {}
    ExecutorInstance.objects.update_or_create(
        name=instance, defaults={**defaults, **first}, create_defaults={**defaults, "started_at": now}
    )


def expire_lost(executor: str, *, now: datetime, silent_for: timedelta, actor: str) -> int:
    """End the attempts of instances unheard of for so long as retryable system failures.

    Only for machines that are gone: an instance that comes back adopts its attempts, whatever the time it was away.
    """
    silent = ExecutorInstance.objects.filter(executor=executor, seen_at__lt=now - silent_for)
    gone: Collection[str] = list(silent.values_list("name", flat=True))
    with transaction.atomic():
        rows = TaskExecution.objects.select_for_update().filter(claimed_by__in=gone, phase__in=HELD)
        rows = rows.order_by("pk")  # as all that lock attempts do
        return end_all([Ended(row.pk, machine_lost(row.claimed_by), now) for row in rows], actor=actor)


def machine_lost(instance: str) -> Outcome:
    message = f"the machine that ran this attempt ({instance}) has not been heard of for too long"
    return failure("ExecutorLost", message, SYSTEM, retryable=True)
