"""One try to launch for a firing."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.utils import timezone

from artifacts.actions.holding import Removed
from artifacts.exceptions import CausewayError, FailedPrecondition, ResourceExhausted
from artifacts.governance.standing import standing_of
from artifacts.partitions import format_time
from scheduler.actions.launch_rows import NotTogether, is_gathering
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


Came = dict[str, Any]  # what a try came to: the outcome, under `to`, and the firing's other columns


def attempt(firing: TriggerFiring) -> Came:
    """Resolve and launch: what it came to, which the caller writes (moves.put) in the same transaction."""
    came: Came = {"reason": "", "lacks": [], "retry_at": None, "held": False, "execution": None}
    try:
        # What is written with others is undone with them.
        with nullcontext() if is_gathering() else transaction.atomic():
            return came | _launch(firing, came)
    except (OperationalError, NotTogether):
        raise  # the database itself: nothing can be recorded, the sweep tries all of it again
    except Removed as error:
        return came | {"to": FiringOutcome.UNRESOLVED, "reason": error.message, "retry_at": _next_try(firing)}
    except ResourceExhausted as error:  # the launch plan's concurrency policy says skip
        return came | {"to": FiringOutcome.SKIPPED, "reason": error.message}
    except CausewayError as error:
        return came | {"to": FiringOutcome.FAILED, "reason": error.message}
    except Exception as error:  # noqa: BLE001 - one launch must not keep others from theirs, nor repeat for ever unseen
        logger.exception("trigger %s could not launch for version %s", firing.trigger_id, firing.version_id)
        reason = f"launch broke off: {error}"
        return came | {"to": FiringOutcome.UNRESOLVED, "reason": reason, "retry_at": _next_try(firing)}


def _launch(firing: TriggerFiring, came: Came) -> Came:
    """How the inputs were found is noted in `came` at once: it is told of a launch that is refused, too."""
    trigger, fired = firing.trigger, Fired(firing.version, members_of(firing))
    _check_there(fired)
    if trigger.needs_checks and (held := _held(fired)):
        return held
    authority = authority_of(trigger, fired)
    resolved = resolve_inputs(plan_of(trigger.pk), fired, authority)
    came["resolution"] = resolved.notes
    if resolved.unresolved:
        return {
            "to": FiringOutcome.UNRESOLVED,
            "reason": "; ".join(resolved.unresolved),
            "lacks": sorted(set(resolved.lacks)),
            "retry_at": _next_try(firing),
        }
    execution = launch_for(trigger, fired, resolved, authority=authority, name=name_for(firing))
    now = timezone.now()
    # The last one there was to wait for; of an alias that moved, the move
    published = max(firing.published_at, *(one.created_at for one in fired.versions()))
    latency_ms = (now - published).total_seconds() * 1000
    return {"to": FiringOutcome.FIRED, "execution": execution, "at": now, "latency_ms": latency_ms}


def _held(fired: Fired) -> Came | None:
    """What it comes to where checks keep it from launching: it is looked at again when they say something else."""
    standings = [(version, standing_of(version.pk)) for version in fired.versions()]
    held = [(version, standing) for version, standing in standings if not standing.passed]
    if not held:
        return None
    failed = any(standing.failed for _, standing in held)
    reason = "; ".join(f"{version.artifact.name}@{version.version} {said.said()}" for version, said in held)
    return {"to": FiringOutcome.SKIPPED if failed else FiringOutcome.WAITING, "reason": reason, "held": True}


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
