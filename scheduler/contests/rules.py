"""Who leads, and who may take whose place by itself. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from artifacts.measures import Better


class Standing(enum.Enum):
    """What came of a version of the dataset at one member; the value is how people and programs are told of it."""

    MISSING = "missing"  # its trigger did not fire for it
    WAITING = "waiting"  # its trigger waits: for a turn, for checks, for other artifacts
    REFUSED = "refused"  # skipped, filtered, expired or not launchable: the reason says why
    RUNNING = "running"
    FAILED = "failed"  # or aborted, or timed out
    NOTHING = "nothing"  # it succeeded and published no version of the model
    UNMEASURED = "unmeasured"  # its version has not the metric
    SCORED = "scored"


@dataclass(frozen=True)
class Model:
    """A version that a member published. `failing`: what of the alias's policy does not hold for it, in words."""

    version_id: int
    version: str
    at: datetime
    value: float | None = None  # the metric
    failing: tuple[str, ...] = ()
    is_gone: bool = False  # removed or quarantined


@dataclass(frozen=True)
class Entry:
    """One cell of the board. `execution` is the newest run, or that which published `model`."""

    member: str
    standing: Standing
    reason: str = ""
    execution: Any = None
    model: Model | None = None
    runs: int = 0


def signed(value: float, better: str) -> float:
    """So that more is better."""
    return value if better == Better.MORE.value else -value


def best_of(models: Iterable[Model], better: str) -> Model | None:
    """The one with the best value, of equals the one published first; of those without a value the newest."""
    found = list(models)
    scored = [(one, one.value) for one in found if one.value is not None]
    if scored:
        return min(scored, key=lambda pair: (-signed(pair[1], better), pair[0].at, pair[0].version_id))[0]
    return max(found, key=lambda one: (one.at, one.version_id), default=None)


def winner(entries: Sequence[Entry], better: str) -> Entry | None:
    """The best of those that the alias's policy allows: none while nobody has a value."""
    allowed = {
        entry.model.version_id: entry
        for entry in entries
        if entry.model is not None and entry.model.value is not None and not entry.model.failing
        if not entry.model.is_gone
    }
    best = best_of([entry.model for entry in allowed.values() if entry.model is not None], better)
    return allowed[best.version_id] if best is not None else None


@dataclass(frozen=True)
class Claim:
    """A member's version as one that is, or wants to be, the champion. `trained_on`: its dataset's version, in order.

    `by_hand`: a person made it the champion.
    """

    trained_on: tuple[datetime, int]
    value: float | None
    by_hand: bool = False


def outranks(challenger: Claim, champion: Claim, better: str) -> bool:
    """Whether the challenger takes the champion's place by itself, where the policy allows it.

    Of models of the same dataset version the better one leads, unless a person chose; those of a newer dataset version
    lead those of an older one, for values measured on different data do not compare. Without a value nobody leads.
    """
    if challenger.value is None:
        return False
    if challenger.trained_on != champion.trained_on:
        return challenger.trained_on > champion.trained_on
    if champion.by_hand:
        return False
    return champion.value is None or signed(challenger.value, better) > signed(champion.value, better)
