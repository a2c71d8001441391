"""Triggers with limits or a pause: what may not launch yet waits in the ledger, and starts in order.

Everything here happens under the lock of the trigger's row.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from artifacts.arrays import column_of
from artifacts.exceptions import FailedPrecondition
from artifacts.models import ArtifactVersion
from artifacts.prepared import prepared
from scheduler.actions.executions import abort
from scheduler.models import (
    Backlog,
    Execution,
    ExecutionMode,
    FiringOutcome,
    OnLimit,
    Trigger,
    TriggerFiring,
)
from scheduler.triggers.attempts import attempt
from scheduler.triggers.firings import light
from scheduler.triggers.launching import ACTOR
from scheduler.triggers.limits import Refusal, refusal, running
from scheduler.triggers.moves import put
from scheduler.triggers.rounds import tell_mates
from scheduler.wake import wake_trigger_queue

BATCH = 50  # launched in one transaction


def carried(firing: TriggerFiring) -> dict[str, Any]:
    """What a round, or a try by hand, set on the firing before it queues or launches: written with its next move."""
    return {name: getattr(firing, name) for name in ("generation", "root_id", "tries", "at")}


def lock_trigger(trigger_id: int) -> Trigger:
    rows = Trigger.objects.select_for_update(no_key=True, of=("self",)).select_related("launch_plan")
    return rows.defer("launch_plan__spec", "launch_plan__closure").get(pk=trigger_id)


def enqueue(trigger: Trigger, firing: TriggerFiring) -> None:
    """Lets the firing, and what waits before it, launch as far as it may. A dropped one is skipped."""
    firing.trigger = trigger
    fields = carried(firing)
    if trigger.paused_at is not None and trigger.backlog == Backlog.DROP:
        reason = f"paused by {trigger.paused_by}, who chose to drop what is published meanwhile"
        put(firing, FiringOutcome.SKIPPED, queued=False, reason=reason, **fields)
        tell_mates(firing)
        return
    reason = paused_reason(trigger) if trigger.paused_at is not None else firing.reason
    put(firing, FiringOutcome.WAITING, queued=True, retry_at=None, reason=reason, **fields)
    if trigger.newest_only:
        _coalesce(_of_place(trigger, firing.version))
    settle(trigger)


def paused_reason(trigger: Trigger) -> str:
    return f"paused by {trigger.paused_by}"


def settle(trigger: Trigger, *, limits_changed: bool = False) -> None:
    """Starts what waits, oldest publication first, until a limit is reached.

    Of a trigger that launches the newest only, one firing waits for each partition: `enqueue` sees to that. Where its
    limits were others before, more may wait.
    """
    if limits_changed and trigger.newest_only:
        _coalesce(light(TriggerFiring.objects.filter(trigger=trigger, queued=True)))
    if trigger.paused_at is not None and trigger.active:
        return
    waiting = _queue(trigger)
    for position, firing in enumerate(waiting[:BATCH]):
        if not trigger.active:
            _end(firing, FiringOutcome.SKIPPED, "the launch plan was deactivated before its turn came")
            continue
        refused = refusal(trigger, timezone.now())
        if refused is not None and not _make_room(trigger, firing, refused):
            if trigger.on_limit == OnLimit.SKIP:
                _end(firing, FiringOutcome.SKIPPED, refused.reason)
                continue
            _wait(waiting[position:BATCH], refused)
            return
        _start(firing)
    if len(waiting) > BATCH:
        wake_trigger_queue(trigger.pk)


def _queue(trigger: Trigger) -> list[TriggerFiring]:
    rows = light(TriggerFiring.objects.filter(trigger=trigger, queued=True))
    found = list(rows.order_by("published_at", "pk")[: BATCH + 1])
    for firing in found:
        firing.trigger = trigger
    return found


def _of_place(trigger: Trigger, version: ArtifactVersion) -> QuerySet[TriggerFiring]:
    """What waits for the same partition: an index finds it among the versions, or among what waits, however long."""
    return light(
        TriggerFiring.objects.filter(
            trigger=trigger,
            queued=True,
            version__artifact=version.artifact_id,
            version__partition_digest=version.partition_digest,
            version__time_partition=version.time_partition,
        )
    )


def _coalesce(rows: QuerySet[TriggerFiring]) -> None:
    """Of the versions of one partition that wait, only the newest stays."""
    newest: dict[tuple[str, datetime | None, int], TriggerFiring] = {}
    for firing in rows.order_by("published_at", "pk"):
        version = firing.version
        place = (version.partition_digest, version.time_partition, version.artifact_id)
        older = newest.get(place)
        if older is not None:
            _end(older, FiringOutcome.COALESCED, f"version {version.version}, which is newer, waits in its place")
        newest[place] = firing


def _make_room(trigger: Trigger, firing: TriggerFiring, refused: Refusal) -> bool:
    """With `replace`, aborts the oldest running executions for a firing that only they keep from launching."""
    if trigger.on_limit != OnLimit.REPLACE or refused.retry_at is not None or trigger.max_concurrent is None:
        return False
    unfinished = list(running(trigger))
    for execution in unfinished[: len(unfinished) - trigger.max_concurrent + 1]:
        cause = f"replaced: {firing.version} triggered its launch plan again, of which {trigger.max_concurrent} may run"
        with suppress(FailedPrecondition):  # it ended this moment
            abort(execution, cause=cause, actor=ACTOR)
    return refusal(trigger, timezone.now()) is None


def _start(firing: TriggerFiring) -> None:
    versions = ArtifactVersion.objects.select_related("artifact").defer("card", "terms")
    firing.version = versions.get(pk=firing.version_id)  # its value too, which those that go on waiting do without
    put(firing, **attempt(firing), queued=False)
    tell_mates(firing)


def _end(firing: TriggerFiring, outcome: FiringOutcome, reason: str) -> None:
    put(firing, outcome, queued=False, reason=reason, retry_at=None)
    tell_mates(firing)


def _wait(waiting: list[TriggerFiring], refused: Refusal) -> None:
    for position, firing in enumerate(waiting):
        _note(firing, refused.reason, retry_at=refused.retry_at if position == 0 else None)


def _note(firing: TriggerFiring, reason: str, *, retry_at: datetime | None = None) -> None:
    if (firing.reason, firing.retry_at) != (reason, retry_at):
        firing.reason, firing.retry_at = reason, retry_at
        firing.save(update_fields=["reason", "retry_at"])


def settle_queue(trigger_id: int) -> None:
    """Looks at the queue of a trigger again, in a transaction of its own."""
    with transaction.atomic():
        settle(lock_trigger(trigger_id))


def queues_of(executions: Iterable[Execution]) -> list[int]:
    """Triggers with a queue that the end of the executions may let go on: one query by indexes."""
    plans = {one.launch_plan_id for one in executions if one.mode == ExecutionMode.TRIGGER} - {None}
    if not plans:
        return []
    with prepared() as cursor:
        cursor.execute(_QUEUES_OF, [column_of(plans)])
        return [row[0] for row in cursor.fetchall()]


# From one trigger with a queue to the next by the index of what is queued: the length of the queues does not matter.
_UNSETTLED = """
    WITH RECURSIVE queues AS (
        (
            SELECT trigger_id, published_at FROM scheduler_triggerfiring WHERE queued
            ORDER BY trigger_id, published_at LIMIT 1
        )
        UNION ALL
        SELECT following.trigger_id, following.published_at FROM queues CROSS JOIN LATERAL (
            SELECT trigger_id, published_at FROM scheduler_triggerfiring
            WHERE queued AND trigger_id > queues.trigger_id ORDER BY trigger_id, published_at LIMIT 1
        ) AS following
    )
    SELECT trigger.id FROM queues JOIN scheduler_trigger AS trigger ON trigger.id = queues.trigger_id
    WHERE trigger.paused_at IS NULL ORDER BY queues.published_at, trigger.id LIMIT %s
"""
_QUEUES_OF = """
    SELECT DISTINCT trigger.id FROM unnest(%s::bigint[]) AS asked(id) JOIN scheduler_launchplan AS ended USING (id)
    JOIN scheduler_launchplan AS plan USING (project, domain, name)
    JOIN scheduler_trigger AS trigger ON trigger.launch_plan_id = plan.id AND trigger.paused_at IS NULL
    WHERE trigger.active AND EXISTS (
        SELECT 1 FROM scheduler_triggerfiring AS firing WHERE firing.trigger_id = trigger.id AND firing.queued
    )
"""


def unsettled(*, limit: int) -> list[int]:
    """What a killed worker left: triggers whose queue may go on, those that wait longest first."""
    with connection.cursor() as cursor:
        cursor.execute(_UNSETTLED, [limit])
        return [row[0] for row in cursor.fetchall()]
