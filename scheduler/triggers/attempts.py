"""One try to launch for a firing."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from django.utils import timezone

from artifacts.actions.holding import Removed
from artifacts.exceptions import CausewayError, FailedPrecondition, ResourceExhausted
from artifacts.governance.standing import standing_of
from artifacts.partitions import format_time
from scheduler.authority import Authority
from scheduler.models import FiringOutcome, Trigger, TriggerFiring
from scheduler.triggers.launching import launch_for, name_for
from scheduler.triggers.plan import plan_of
from scheduler.triggers.resolve import Fired, resolve_inputs
from scheduler.triggers.rounds import members_of
from scheduler.vouching import TRIGGER, vouched

logger = logging.getLogger(__name__)

FIRST_RETRY = timedelta(seconds=10)
LAST_RETRY = timedelta(hours=1)


def attempt(firing: TriggerFiring) -> None:
    """Resolve and launch; the outcome is set on the firing, which the caller saves in the same transaction."""
    firing.reason, firing.lacks, firing.retry_at, firing.held = "", [], None, False
    try:
        with transaction.atomic():
            fired = Fired(firing.version, members_of(firing))
            _check_there(fired)
            if firing.trigger.needs_checks and _hold(firing, fired):
                return
            authority = authority_of(firing.trigger, fired)
            resolved = resolve_inputs(plan_of(firing.trigger_id), fired, authority)
            firing.resolution = resolved.notes
            if resolved.unresolved:
                firing.outcome = FiringOutcome.UNRESOLVED
                firing.reason = "; ".join(resolved.unresolved)
                firing.lacks = sorted(set(resolved.lacks))
                firing.retry_at = _next_try(firing)
                return
            firing.execution = launch_for(firing.trigger, fired, resolved, authority=authority, name=name_for(firing))
    except OperationalError:
        raise  # the database itself: nothing can be recorded, the sweep tries all of it again
    except Removed as error:
        firing.outcome, firing.reason, firing.execution = FiringOutcome.UNRESOLVED, error.message, None
        firing.retry_at = _next_try(firing)
    except ResourceExhausted as error:  # the launch plan's concurrency policy says skip
        firing.outcome, firing.reason, firing.execution = FiringOutcome.SKIPPED, error.message, None
    except CausewayError as error:
        firing.outcome, firing.reason, firing.execution = FiringOutcome.FAILED, error.message, None
    except Exception as error:  # noqa: BLE001 - one launch must not keep others from theirs, nor repeat for ever unseen
        logger.exception("trigger %s could not launch for version %s", firing.trigger_id, firing.version_id)
        firing.outcome, firing.reason, firing.execution = FiringOutcome.UNRESOLVED, f"launch broke off: {error}", None
        firing.retry_at = _next_try(firing)
    else:
        firing.outcome, firing.at = FiringOutcome.FIRED, timezone.now()
        # The last one there was to wait for; of an alias that moved, the move
        published = max(firing.published_at, *(one.created_at for one in fired.versions()))
        firing.latency_ms = (firing.at - published).total_seconds() * 1000


def _hold(firing: TriggerFiring, fired: Fired) -> bool:
    """Whether the checks of the versions keep it from launching: it is looked at again when they say something else."""
    standings = [(version, standing_of(version.pk)) for version in fired.versions()]
    held = [(version, standing) for version, standing in standings if not standing.passed]
    if not held:
        return False
    failed = any(standing.failed for _, standing in held)
    firing.outcome = FiringOutcome.SKIPPED if failed else FiringOutcome.WAITING
    firing.reason = "; ".join(f"{version.artifact.name}@{version.version} {said.said()}" for version, said in held)
    firing.held = True
    return True


def authority_of(trigger: Trigger, fired: Fired) -> Authority:
    """On which the trigger launches for these versions. NoAuthority when who vouches for it may no longer."""
    plan = plan_of(trigger.pk).launch_plan
    sources = [version.artifact.key[:2] for version in fired.versions()]
    place = (plan.project, plan.domain)
    return vouched(trigger, place=place, sources=sources, otherwise=TRIGGER)


def _check_there(fired: Fired) -> None:
    """FailedPrecondition when the data that fired is gone: only what nothing waits for any more can be removed."""
    for version in fired.versions():
        if version.removed_at is not None:
            raise FailedPrecondition(f"{version} was removed {format_time(version.removed_at)}: its data is gone")


def _next_try(firing: TriggerFiring) -> datetime:
    wait = FIRST_RETRY * (1 << min(firing.tries - 1, 16))
    return timezone.now() + min(wait, LAST_RETRY)
