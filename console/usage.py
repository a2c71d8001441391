"""What was used, for doors: by project, user and launch plan, of the projects that somebody may read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from console.accounts import access
from console.accounts.models import User
from scheduler.models import Lane as Row
from scheduler.quotas import used
from scheduler.quotas.resources import demand_of

GROUPS = ("project", "domain", "user", "launch_plan")
LONGEST = timedelta(days=366)


@dataclass(frozen=True)
class Used:
    """An amount times seconds: of cpu core seconds, of memory byte seconds; of attempts the seconds that they ran."""

    group: dict[str, str]
    resource: str
    seconds: float

    @property
    def hours(self) -> float:
        return self.seconds / 3600


def usage(
    user: User, *, start: datetime | None = None, end: datetime | None = None, by: tuple[str, ...] = ("project",)
) -> list[Used]:
    """From `start` (this month's) to `end` (now). InvalidArgument."""
    now = timezone.now()
    end = min(end or now, now)
    start = start or used.window_start("month", now)
    if not start < end:
        raise InvalidArgument("the time has to begin before it ends, and before now")
    if end - start > LONGEST:
        raise InvalidArgument(f"at most {LONGEST.days} days at once")
    if unknown := sorted(set(by) - set(GROUPS)):
        raise InvalidArgument(f"usage is not kept by {', '.join(unknown)}: there are {', '.join(GROUPS)}")
    ran = used.seconds(start, end, now=now)
    found: dict[tuple[tuple[str, str], ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for lane in Row.objects.filter(access.readable(user), pk__in=list(ran)):
        key = tuple((name, getattr(lane, name)) for name in by)
        for resource, amount in (lane.demand or demand_of(lane.resources, {})).items():
            found[key][resource] += amount * ran[lane.pk]
    return [
        Used(dict(key), resource, seconds)
        for key, amounts in sorted(found.items())
        for resource, seconds in sorted(amounts.items())
    ]
