"""Triggers switched on and off: with their launch plan, paused and resumed by people, given other limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from artifacts.actions.waiting import begin_to_wait
from artifacts.exceptions import FailedPrecondition
from audit.record import record
from scheduler.models import Backlog, FiringOutcome, LaunchPlan, Trigger, TriggerFiring, TriggerRound, TriggerSource
from scheduler.triggers.limits import Limits
from scheduler.triggers.moves import put_all
from scheduler.triggers.plan import plan_of
from scheduler.triggers.queue import lock_trigger, paused_reason, settle
from scheduler.triggers.register import check_sources
from scheduler.triggers.rounds import close
from scheduler.wake import wake_triggers


def switch_on(launch_plan: LaunchPlan, *, at: datetime, since: datetime, replaced: Iterable[LaunchPlan] = ()) -> None:
    """With the launch plan's activation `at` that time. Versions published `since` fire it that are not evaluated yet.

    A pause, and limits that a person set, pass over to the version that follows. The caller's transaction holds the
    launch plan's name. InvalidArgument when an artifact that came to be since the registration does not have the
    partitions that the trigger asks for or joins on: it would wait for ever.
    """
    trigger = Trigger.objects.select_for_update(no_key=True).filter(launch_plan=launch_plan).first()
    if trigger is None or (trigger.contest is not None and not trigger.contest.has(launch_plan.name)):
        return
    sources = list(TriggerSource.objects.filter(trigger=trigger))
    check_sources(sources, trigger.join_on)
    trigger.active, trigger.activated_at = True, since
    before = Trigger.objects.filter(launch_plan__in=list(replaced)).first()
    if before is not None:
        if before.paused_at is not None:
            trigger.paused_at, trigger.paused_by, trigger.backlog = before.paused_at, before.paused_by, before.backlog
        if before.limits_by:
            _set(trigger, Limits(**{name: getattr(before, name) for name in Limits.__dataclass_fields__}))
            trigger.limits_by = before.limits_by
    trigger.save()
    TriggerSource.objects.filter(trigger=trigger).update(active=True)
    watched = {(source.project, source.domain, source.name) for source in sources if not source.alias}
    for version_id in begin_to_wait(watched, since=at):
        wake_triggers(version_id)


def switch_off(launch_plan: LaunchPlan) -> None:
    """With the launch plan's deactivation: what waits at its trigger no longer does."""
    trigger = Trigger.objects.select_for_update(no_key=True).filter(launch_plan=launch_plan).first()
    if trigger is None:
        return
    trigger.active = False
    trigger.save(update_fields=["active"])
    TriggerSource.objects.filter(trigger=trigger).update(active=False)
    reason = "the launch plan was deactivated while it waited"
    for round_ in TriggerRound.objects.filter(trigger=trigger, closed_at__isnull=True):
        close(round_, FiringOutcome.SKIPPED, reason)
    waiting = TriggerFiring.objects.filter(trigger=trigger, outcome=FiringOutcome.WAITING)
    put_all(waiting, FiringOutcome.SKIPPED, reason=reason, queued=False, held=False, retry_at=None)


def pause(trigger_id: int, *, backlog: Backlog, actor: str) -> Trigger:
    """Launch nothing until resumed; what is published meanwhile waits (`keep`) or is skipped (`drop`).

    Pausing again changes the choice for what comes; what waits already stays.
    """
    with transaction.atomic():
        trigger = lock_trigger(trigger_id)
        trigger.paused_at = trigger.paused_at or timezone.now()
        trigger.paused_by, trigger.backlog = actor, backlog
        trigger.save(update_fields=["paused_at", "paused_by", "backlog"])
        _record(actor, "trigger.pause", trigger, backlog=str(backlog))
        TriggerFiring.objects.filter(trigger=trigger, queued=True).update(reason=paused_reason(trigger))
    return trigger


def resume(trigger_id: int, *, actor: str) -> Trigger:
    """Launch again, what waits first, in order. FailedPrecondition when it is not paused."""
    with transaction.atomic():
        trigger = lock_trigger(trigger_id)
        if trigger.paused_at is None:
            raise FailedPrecondition(f"trigger {trigger_id} is not paused")
        trigger.paused_at, trigger.paused_by, trigger.backlog = None, "", ""
        trigger.save(update_fields=["paused_at", "paused_by", "backlog"])
        _record(actor, "trigger.resume", trigger)
        settle(trigger)
    return trigger


def set_limits(trigger_id: int, limits: Limits, *, actor: str) -> Trigger:
    """Other limits than the program's; what waits launches as far as they allow."""
    with transaction.atomic():
        trigger = lock_trigger(trigger_id)
        _set(trigger, limits)
        trigger.limits_by = actor
        trigger.save()
        _record(actor, "trigger.limits", trigger, **asdict(limits))
        settle(trigger, limits_changed=True)
    return trigger


def reset_limits(trigger_id: int, *, actor: str) -> Trigger:
    """The program's limits again."""
    with transaction.atomic():
        trigger = lock_trigger(trigger_id)
        _set(trigger, plan_of(trigger_id).spec.limits)
        trigger.limits_by = ""
        trigger.save()
        _record(actor, "trigger.limits.reset", trigger)
        settle(trigger, limits_changed=True)
    return trigger


def _record(actor: str, verb: str, trigger: Trigger, **detail: object) -> None:
    plan = trigger.launch_plan
    record(actor, verb, plan, detail=detail)


def _set(trigger: Trigger, limits: Limits) -> None:
    for name, value in asdict(limits).items():
        setattr(trigger, name, value)
