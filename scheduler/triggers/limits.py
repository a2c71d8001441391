"""How often, and how many at a time, a trigger may launch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from artifacts.exceptions import InvalidArgument
from artifacts.literals.numbers import plain
from scheduler.models import Execution, ExecutionMode, FiringOutcome, LaunchPlan, OnLimit, Trigger, TriggerFiring
from scheduler.phases import ExecutionPhase

MAX_COUNT = 10_000
MAX_PERIOD = 366 * 86400.0  # seconds


@dataclass(frozen=True)
class Limits:
    """None: no limit. `on_limit` says what happens to a firing over it."""

    rate_count: int | None = None
    rate_seconds: float | None = None
    max_concurrent: int | None = None
    on_limit: OnLimit = OnLimit.QUEUE
    newest_only: bool = False


NO_LIMITS = Limits()


def read_limits(found: object) -> Limits:
    """From JSON, as a program or an administrator sends it. InvalidArgument says what is allowed."""
    if not isinstance(found, Mapping):
        raise InvalidArgument("limits must be an object")
    known = set(Limits.__dataclass_fields__)
    if unknown := sorted(set(found) - known):
        raise InvalidArgument(f"limits have {', '.join(unknown)}; known are: {', '.join(sorted(known))}")
    count, seconds = _count(found, "rate_count"), _seconds(found)
    if (count is None) != (seconds is None):
        raise InvalidArgument("a rate limit needs both rate_count and rate_seconds")
    on_limit = found.get("on_limit", OnLimit.QUEUE)
    if on_limit not in OnLimit.values:
        raise InvalidArgument(f"on_limit is {', '.join(OnLimit.values)}, not {on_limit!r}")
    newest_only = found.get("newest_only", False)
    if not isinstance(newest_only, bool):
        raise InvalidArgument("newest_only is true or false")
    return Limits(count, seconds, _count(found, "max_concurrent"), OnLimit(on_limit), newest_only)


def _count(found: Mapping[str, Any], key: str) -> int | None:
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise InvalidArgument(f"{key} is a whole number from 1 to {MAX_COUNT}, not {value!r}")
    return value


def _seconds(found: Mapping[str, Any]) -> float | None:
    value = found.get("rate_seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_PERIOD:
        raise InvalidArgument(f"rate_seconds is more than 0 and at most {plain(MAX_PERIOD)}, not {value!r}")
    return float(value)


@dataclass(frozen=True)
class Refusal:
    """Why a firing must not launch now, and when it is worth while to look again, if time alone helps."""

    reason: str
    retry_at: datetime | None = None


def refusal(trigger: Trigger, now: datetime) -> Refusal | None:
    """None when one more may be launched. The caller holds the trigger's lock, so that the answer stays true."""
    if trigger.rate_count is not None and trigger.rate_seconds is not None:
        recent = list(
            TriggerFiring.objects.filter(
                trigger=trigger,
                outcome=FiringOutcome.FIRED,
                latency_ms__isnull=False,  # of a round, only the version that completed it
                at__gt=now - timedelta(seconds=trigger.rate_seconds),
            )
            .order_by("-at")
            .values_list("at", flat=True)[: trigger.rate_count]
        )
        if len(recent) >= trigger.rate_count:
            again = recent[-1] + timedelta(seconds=trigger.rate_seconds)
            return Refusal(
                f"rate limit: {trigger.rate_count} launches in {plain(trigger.rate_seconds)} s; "
                f"next at {again:%H:%M:%S} UTC",
                again,
            )
    if trigger.max_concurrent is not None:
        unfinished = running(trigger)[: trigger.max_concurrent].count()
        if unfinished >= trigger.max_concurrent:
            return Refusal(f"{unfinished} of {trigger.max_concurrent} concurrent executions have not ended")
    return None


def running(trigger: Trigger) -> QuerySet[Execution]:
    """Unfinished triggered executions of any version of the launch plan, oldest first; not those being aborted."""
    plan = trigger.launch_plan
    same = LaunchPlan.objects.filter(project=plan.project, domain=plan.domain, name=plan.name)
    found = Execution.objects.filter(
        ended_at__isnull=True, mode=ExecutionMode.TRIGGER, launch_plan__in=same.values("pk")
    )
    return found.exclude(phase=ExecutionPhase.ABORTING).order_by("created_at", "pk")
