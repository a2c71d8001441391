"""What was used, and what it cost, for doors: by project, user, workflow or day, of the projects somebody may read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from console.accounts import access
from console.accounts.models import User
from scheduler.models import Lane as Row
from scheduler.models import LaunchPlan, Price
from scheduler.quotas import used
from scheduler.quotas.resources import BYTES, demand_of

STEPS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}
GROUPS = ("project", "domain", "user", "launch_plan", "workflow", *STEPS)
LONGEST = timedelta(days=366)
MOST_PARTS = 800  # that a time is asked for in: between changes of prices, by days or hours
GIB = 2**30


@dataclass(frozen=True)
class Used:
    """An amount times seconds: of cpu core seconds, of memory byte seconds; of attempts the seconds that they ran.

    `cost`: in the prices of then; None: it had none.
    """

    group: dict[str, str]
    resource: str
    seconds: float
    cost: float | None = None

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
    _check(start, end, by)
    prices = list(Price.objects.filter(valid_from__lt=end).order_by("valid_from", "pk"))
    begins = _parts(start, end, prices, by)
    ran = list(zip(begins, used.parts(begins, end, now=now), strict=True))
    lanes = _lanes(user, {number for _, found in ran for number in found}, by)
    total: dict[tuple[tuple[str, ...], str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for since, found in ran:
        rates = {price.resource: price.per_hour for price in prices if price.valid_from <= since}  # the last one counts
        for number, amount in found.items():
            group, demand = lanes.get(number, ((), {}))
            named = tuple(_time(name, since) or value for name, value in zip(by, group, strict=False))
            for resource, each in demand.items():
                sums = total[named, resource]
                sums[0] += each * amount
                sums[1] += cost_of(resource, each * amount, rates.get(resource, 0.0))
                sums[2] += resource in rates
    return [
        Used(dict(zip(by, group, strict=True)), resource, seconds, cost if priced else None)
        for (group, resource), (seconds, cost, priced) in sorted(total.items())
    ]


def together(found: Iterable[Used], name: str, *, letters: int | None = None) -> list[Used]:
    """What was asked for by several groups, summed up by one of them, or by the first letters of it (of an hour: its
    day); in their order.
    """
    total: dict[tuple[str, str], list[Used]] = defaultdict(list)
    for one in found:
        total[one.group[name][:letters], one.resource].append(one)
    return [
        Used({name: value}, resource, sum(one.seconds for one in some), _sum([one.cost for one in some]))
        for (value, resource), some in sorted(total.items())
    ]


def _sum(costs: Sequence[float | None]) -> float | None:
    priced = [cost for cost in costs if cost is not None]
    return sum(priced) if priced else None


def cost_of(resource: str, seconds: float, per_hour: float) -> float:
    """Of memory and storage an hour is of a GiB, of all else of one piece."""
    return seconds / 3600 * per_hour / (GIB if resource in BYTES else 1)


def currency() -> str:
    return Price.objects.values_list("currency", flat=True).first() or ""


def _check(start: datetime, end: datetime, by: Sequence[str]) -> None:
    if not start < end:
        raise InvalidArgument("the time has to begin before it ends, and before now")
    if end - start > LONGEST:
        raise InvalidArgument(f"at most {LONGEST.days} days at once")
    if unknown := sorted(set(by) - set(GROUPS)):
        raise InvalidArgument(f"usage is not kept by {', '.join(unknown)}: there are {', '.join(GROUPS)}")
    if len(set(by) & set(STEPS)) > 1:
        raise InvalidArgument("by days or by hours, not both")


def _parts(start: datetime, end: datetime, prices: Sequence[Price], by: Sequence[str]) -> list[datetime]:
    """Where the parts of the time begin, in each of which prices stay the same, and the day or hour."""
    found = {start, *(price.valid_from for price in prices if price.valid_from > start)}
    for step in set(by) & set(STEPS):
        found.update(_steps(start, end, step))
    if len(found) > MOST_PARTS:
        raise InvalidArgument(f"that is more than {MOST_PARTS} parts: ask for a shorter time, or by days")
    return sorted(found)


def _steps(start: datetime, end: datetime, step: str) -> Iterator[datetime]:
    at = used.window_start("day", start) if step == "day" else used.hour_of(start)
    while (at := at + STEPS[step]) < end:
        yield at


def _time(name: str, since: datetime) -> str:
    return {"day": f"{since:%Y-%m-%d}", "hour": f"{since:%Y-%m-%dT%H:00:00Z}"}.get(name, "")


def _lanes(
    user: User, numbers: Collection[int], by: Sequence[str]
) -> dict[int, tuple[tuple[str, ...], dict[str, float]]]:
    """By number: what the lane is called by, and what one of it asks for; those he may read."""
    rows = list(Row.objects.filter(access.readable(user), pk__in=list(numbers)))
    workflows = _workflows(rows) if "workflow" in by else {}

    def value(row: Row, name: str) -> str:
        if name == "workflow":
            return workflows.get((row.project, row.domain, row.launch_plan), row.launch_plan)
        return str(getattr(row, name, ""))

    return {
        row.pk: (tuple(value(row, name) for name in by), row.demand or demand_of(row.resources, {})) for row in rows
    }


def _workflows(rows: Sequence[Row]) -> dict[tuple[str, str, str], str]:
    """What the newest version of each launch plan runs."""
    plans = LaunchPlan.objects.filter(name__in={row.launch_plan for row in rows}).order_by("pk")
    return {tuple(key): name for *key, name in plans.values_list("project", "domain", "name", "workflow__name")}  # type: ignore[misc]
