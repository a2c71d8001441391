"""Executions as they would have been: in order of time, each with the versions it used and published.

`console.filling.writing` puts them into the tables.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from console.filling.company import DAYS, FAULTS, GATED, PER_REGION, PLANS, REGIONS, STORM, Fault, Plan, Sizes
from scheduler.models import ExecutionMode
from scheduler.phases import ExecutionPhase

SHARES = (0.34, 0.22, 0.2, 0.12, 0.12)  # of the regions
LATE = (0, 1, 1, 2, 190)  # seconds after its time that a nightly run begins
BOSTON_AWAY = range(31, 38)  # days before now on which Boston had no network
NIGHT = 3  # o'clock, UTC


@dataclass
class Run:
    """One execution. `fault`: why it failed; `retried`: its first attempt of the longest step failed."""

    number: int
    plan: Plan
    region: str
    at: datetime
    seconds: float
    phase: ExecutionPhase
    by: str
    fault: Fault | None = None
    retried: bool = False
    gate: str = ""
    day: datetime | None = None
    details: dict[str, str] = field(default_factory=dict)

    @property
    def end(self) -> datetime | None:
        return None if self.gate else self.at + timedelta(seconds=self.seconds)


def runs(sizes: Sizes, now: datetime) -> Iterator[Run]:
    """The nightly ones of every region and day but some, and among them the rest, the oldest first."""
    rng = random.Random(sizes.seed)  # noqa: S311 - no secrets
    nightly = sorted(_nightly(rng, now), key=lambda pair: pair[0])[-sizes.executions :]
    storm = list(_storm(rng, now, min(sizes.storm // 3, sizes.executions // 10)))
    others = _others(rng, now, sizes.executions - len(nightly) - len(storm) - sizes.waiting)
    merged = sorted([*nightly, *others, *storm], key=lambda pair: pair[0])
    number = 0
    for at, plan, region in merged:
        yield _run(rng, number, plan, region, at, now)
        number += 1
    for one in range(min(sizes.waiting, sizes.executions)):
        plan, region = GATED[one % len(GATED)], REGIONS[one % len(REGIONS)]
        at = now - timedelta(minutes=17 + 41 * one)
        by = plan.people[0]
        yield Run(number, plan, region, at, 0.0, ExecutionPhase.RUNNING, by, gate=plan.steps[-1].gate)
        number += 1


def _nightly(rng: random.Random, now: datetime) -> Iterator[tuple[datetime, Plan, str]]:
    plan = next(one for one in PLANS if one.is_nightly)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    last = now - timedelta(seconds=max(LATE) + 2 * plan.seconds + 60)  # of which the run is over by now
    for age in range(DAYS):
        for minute, region in enumerate(REGIONS):
            at = midnight - timedelta(days=age) + timedelta(hours=NIGHT, minutes=minute)
            is_gap = region == "BOS" and age in BOSTON_AWAY or rng.random() < 0.03
            if at < last and not is_gap:
                yield at + timedelta(seconds=rng.choice(LATE)), plan, region


def _others(rng: random.Random, now: datetime, count: int) -> Iterator[tuple[datetime, Plan, str]]:
    """More of them by day than by night, more on the newest days. What each region has of its own is made in each."""
    plans = [one for one in PLANS if one.weight]
    weights = [one.weight for one in plans]
    own = [one for one in plans if any(name in PER_REGION for _, name in one.outputs)]
    certain = [(plan, region) for plan in own for region in REGIONS] * 2  # there is one before the newest
    for number in range(max(count, 0)):
        age = DAYS * rng.random() ** 1.3
        at = now - timedelta(days=age)
        if at.hour < 6 and rng.random() < 0.7:
            at += timedelta(hours=rng.uniform(6, 16))
        region = rng.choices(REGIONS, SHARES)[0]
        plan = rng.choices(plans, weights)[0]
        if number < len(certain):
            plan, region = certain[number]
        if plan.mode == ExecutionMode.SCHEDULED:
            at = nominal(plan, region, at) + timedelta(seconds=rng.choice((0.2, 0.4, 0.9, 95)))
        yield min(at, now - timedelta(seconds=2 * plan.seconds + 60)), plan, region


def _storm(rng: random.Random, now: datetime, count: int) -> Iterator[tuple[datetime, Plan, str]]:
    """Heartbeats of the last quarter of an hour."""
    plan = next(one for one in PLANS if one.name == STORM)
    for _ in range(count):
        yield now - timedelta(seconds=5 + 900 * rng.random() ** 1.5), plan, rng.choice(REGIONS)


def nominal(plan: Plan, region: str, at: datetime) -> datetime:
    """The last time at which its schedule says that it is due."""
    if plan.is_nightly:
        return at.replace(hour=NIGHT, minute=REGIONS.index(region), second=0, microsecond=0)
    if plan.project == "risk":
        return at.replace(hour=1, minute=30, second=0, microsecond=0)
    return at.replace(minute=0, second=0, microsecond=0)


def _run(rng: random.Random, number: int, plan: Plan, region: str, at: datetime, now: datetime) -> Run:
    drift = 1.5 if region == "NYC" else 1.0
    seconds = plan.seconds * drift * rng.lognormvariate(0, 0.25)
    phase, fault = ExecutionPhase.SUCCEEDED, None
    dice = rng.random()
    if dice < plan.failing:
        phase, fault = ExecutionPhase.FAILED, FAULTS[rng.choice(plan.errors)] if dice > 0.004 else FAULTS["node"]
        seconds *= rng.uniform(0.05, 0.9)
    elif dice < plan.failing + 0.012:
        phase, seconds = ExecutionPhase.ABORTED, seconds * rng.uniform(0.1, 0.8)
    by = rng.choice(plan.people)
    seconds = min(seconds, (now - at).total_seconds())
    run = Run(number, plan, region, at, seconds, phase, by, fault, retried=rng.random() < 0.06)
    run.day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    run.details = {"region": region.lower(), "number": str(rng.randrange(1, 9))}
    return run
