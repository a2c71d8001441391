"""Activating and deactivating launch plans: at most one version of a name is active."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import NotFound
from audit.record import record
from scheduler.actions.launchable import check_places, launchable
from scheduler.actions.register import check_sources
from scheduler.authority import Authority, project_of_call
from scheduler.contests.members import join
from scheduler.models import LaunchPlan, NamedEntity, ResourceType, Schedule, Trigger
from scheduler.schedules import switch as schedules
from scheduler.triggers.register import begin_of
from scheduler.triggers.switch import switch_off, switch_on


def set_state(launch_plan: LaunchPlan, state: LaunchPlan.State, *, actor: str) -> LaunchPlan:
    """Makes the version active, and the one that was no longer, or makes it inactive; triggers and schedules follow.

    All in one transaction, one at a time for each name. Its trigger and schedule launch by the name of `actor` from
    now on, and with his rights; doing it again changes nothing but that. PermissionDenied when he activates what leads
    to where he may not read.
    """
    with transaction.atomic():
        _lock_name(launch_plan)
        current = LaunchPlan.objects.select_for_update().filter(pk=launch_plan.pk).first()
        if current is None:
            raise NotFound(f"launch plan {launch_plan} does not exist")
        if state == LaunchPlan.State.ACTIVE:
            _check_readable(current, actor)
        if current.state == state:
            if state == LaunchPlan.State.ACTIVE:
                _vouch(current, actor)
            return current
        if state == LaunchPlan.State.ACTIVE:
            others = list(
                LaunchPlan.objects.filter(
                    project=current.project, domain=current.domain, name=current.name, state=LaunchPlan.State.ACTIVE
                )
            )
            now = timezone.now()
            since = begin_of(others, at=now)
            for other in others:
                _deactivate(other)
            _activate(current, at=now, triggered_since=since, replaced=others)
            _vouch(current, actor)
        else:
            _deactivate(current)
        verb = "launch_plan.activate" if state == LaunchPlan.State.ACTIVE else "launch_plan.deactivate"
        record(actor, verb, current)
    return current


def _check_readable(launch_plan: LaunchPlan, actor: str) -> None:
    authority = Authority(actor, home=(launch_plan.project, launch_plan.domain))
    plan = launchable(launch_plan.pk)
    check_sources(plan.spec, authority)
    check_places(plan, authority)


def _vouch(launch_plan: LaunchPlan, actor: str) -> None:
    """Who activates a launch plan answers for what its trigger and schedule launch (scheduler.vouching)."""
    who = {"activated_by": actor, "activated_project": project_of_call(actor)}
    Trigger.objects.filter(launch_plan=launch_plan).update(**who)
    Schedule.objects.filter(launch_plan=launch_plan).update(**who)


def _lock_name(launch_plan: LaunchPlan) -> None:
    """Two versions of a name activated at once would each see no other; the name itself is what they contend for."""
    name = NamedEntity.objects.select_for_update().filter(
        resource_type=ResourceType.LAUNCH_PLAN,
        project=launch_plan.project,
        domain=launch_plan.domain,
        name=launch_plan.name,
    )
    list(name)


def _activate(
    launch_plan: LaunchPlan, *, at: datetime, triggered_since: datetime, replaced: Iterable[LaunchPlan]
) -> None:
    launch_plan.state = LaunchPlan.State.ACTIVE
    launch_plan.state_changed_at = at
    launch_plan.save(update_fields=["state", "state_changed_at"])
    join(launch_plan)
    switch_on(launch_plan, at=at, since=triggered_since, replaced=replaced)
    for schedule in Schedule.objects.select_for_update().filter(launch_plan=launch_plan):
        schedules.start(schedule, at=at)
        schedule.save(update_fields=["active", "anchor_at", "next_fire_at", "paused_at", "paused_by"])


def _deactivate(launch_plan: LaunchPlan) -> None:
    launch_plan.state = LaunchPlan.State.INACTIVE
    launch_plan.state_changed_at = timezone.now()
    launch_plan.save(update_fields=["state", "state_changed_at"])
    switch_off(launch_plan)
    for schedule in Schedule.objects.select_for_update().filter(launch_plan=launch_plan):
        schedules.stop(schedule)
        schedule.save(update_fields=["active", "next_fire_at", "paused_at", "paused_by"])
