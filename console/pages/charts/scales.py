"""Numbers and moments as places on an axis, in per cent. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.pages.wording import spell_duration

STEPS = 4  # about so many parts of an axis
HUGE = 1e305  # what is larger is drawn as if it were that
NEAR = 1e-12  # part of themselves by which numbers differ that are drawn as one
COLOURS = 8  # series that look different
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """From `low` to `high`, with marks at equal distances, the first at `low` and the last at `high`."""

    low: float
    high: float
    marks: Sequence[float]

    def at(self, value: float) -> float:
        """Per cent of the way from low to high."""
        return round(100 * (_held(value) - self.low) / (self.high - self.low), 2)


def scale_of(values: Iterable[float], *, with_zero: bool = False) -> Scale:
    """An axis with round marks that holds all of the values; what is not finite is ignored."""
    finite = [_held(value) for value in values if math.isfinite(value)]
    if with_zero or not finite:
        finite.append(0.0)
    low, high = min(finite), max(finite)
    if high - low <= NEAR * max(abs(low), abs(high)):
        low, high = (low - 0.5 * abs(low), high + 0.5 * abs(high)) if low else (0.0, 1.0)
        low = min(low, 0.0) if with_zero else low
    step = _step((high - low) / STEPS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = [number * step for number in range(first, max(last, first + 1) + 1)]
    return Scale(marks[0], marks[-1], marks)


def _held(value: float) -> float:
    """Between the ends of what can be reckoned with; as small as nothing is nothing."""
    return 0.0 if abs(value) < 1 / HUGE else max(-HUGE, min(HUGE, value))


def _step(about: float) -> float:
    """The next round number that is not less."""
    power: float = 10.0 ** math.floor(math.log10(about))
    return next(nice * power for nice in _NICE if nice * power >= about * (1 - 1e-9))


@dataclass(frozen=True)
class TimeScale:
    """`since`: moments are told as the time that had passed since then."""

    start: datetime
    end: datetime
    since: datetime | None = None

    def at(self, moment: datetime) -> float:
        """Per cent of the way; half way where start and end are one moment."""
        span = (self.end - self.start).total_seconds()
        return round(100 * (moment - self.start).total_seconds() / span, 2) if span else 50.0

    @property
    def labels(self) -> list[str]:
        """For equal distances from start to end, as exact as the span needs."""
        span = self.end - self.start
        if self.since is not None:
            return [self.spell(self.start + span * part / 2) for part in range(3)]
        if not span:
            return ["", self.start.strftime("%Y-%m-%d %H:%M"), ""]
        form = "%Y-%m" if span > timedelta(days=600) else "%m-%d" if span > timedelta(days=4) else "%m-%d %H:%M"
        parts = 2 if form == "%m-%d %H:%M" else STEPS
        form = "%H:%M:%S" if span < timedelta(minutes=5) else form
        return [(self.start + span * part / parts).strftime(form) for part in range(parts + 1)]

    def spell(self, moment: datetime) -> str:
        """For a table."""
        return f"{moment:%Y-%m-%d %H:%M}" if self.since is None else spell_duration(moment - self.since)


def spell_mark(value: float) -> str:
    """A number beside an axis: short."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.6g}"
