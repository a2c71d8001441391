"""The words for what something unfinished does, and how several facts become one answer. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from scheduler.quotas.why import Place, Why


class State(str, Enum):
    """What something unfinished does. Its value is the word for it, on pages as in searches."""

    QUEUED = "queued"  # its turn will come, nothing is short as far as is known
    WAITING = "waiting"  # for something that is named
    GATED = "gated"  # for a person: an approval or a value
    STARTING = "starting"  # an executor prepares it: a process, a pod, an image
    RUNNING = "running"  # a program of it runs

    __str__ = str.__str__  # also where it is a key of what is answered

    @property
    def is_going(self) -> bool:
        """Whether its clock counts: work is done."""
        return self in (State.STARTING, State.RUNNING)


# What an execution of which several things are true is called: the furthest on. A gate is told before a queue, since it
# is somebody's turn.
RANKS = {State.QUEUED: 0, State.WAITING: 1, State.GATED: 2, State.STARTING: 3, State.RUNNING: 4}


@dataclass(frozen=True)
class Fact:
    """`count` things of a node that are in one state. `what`: what it waits for, in words, without "waiting for".

    `why`: the same as a code of the closed list, with numbers.
    """

    execution: int
    node: int | None
    state: State
    what: str = ""
    since: datetime | None = None
    count: int = 1
    place: int | None = None  # in the line of its executor, from 1
    why: Why | None = None
    first: int | None = None  # of attempts: the oldest


@dataclass(frozen=True)
class Doing:
    """`what`, `since` and `why` are those of the state it is called by; `counts`: how many attempts and gates are in
    which. `first`: the attempt that `why` is of, where it is of one.
    """

    state: State
    what: str = ""
    since: datetime | None = None
    place: int | None = None
    counts: Mapping[State, int] = field(default_factory=dict)
    why: Why | None = None
    first: int | None = None

    @property
    def reason(self) -> str:
        """`for cpu 1, third in line`: what follows the word; empty for what simply runs."""
        joined = {State.WAITING: "for ", State.GATED: "for "}.get(self.state, "") + self.what if self.what else ""
        return ", ".join(part for part in (joined, _in_line(self.place)) if part)

    @property
    def code(self) -> str:
        """Of the closed list (scheduler.quotas.why); empty: it waits for nothing."""
        return self.why.code if self.why is not None else ""

    def placed(self, found: Place) -> Doing:
        """With its place in a line, and about when its turn comes."""
        why = replace(self.why, **found._asdict()) if self.why is not None else None
        return replace(self, place=found.place, why=why)


def _in_line(place: int | None) -> str:
    return "" if place is None else "next in line" if place == 1 else f"number {place} in line"


def combined(found: Sequence[Fact]) -> Doing | None:
    """One answer for several facts; None for none."""
    if not found:
        return None
    state = max((fact.state for fact in found), key=RANKS.__getitem__)
    counts: dict[State, int] = defaultdict(int)
    for fact in found:
        counts[fact.state] += fact.count
    here = [fact for fact in found if fact.state is state]
    most = max(here, key=lambda fact: fact.count)
    # Of several reasons the one that most wait for is told.
    since = min((fact.since for fact in here if fact.since is not None), default=None)
    place = min((fact.place for fact in here if fact.place is not None), default=None)
    why = _why_the_rest(found) if state.is_going else most.why
    if why is not None and place is not None:
        why = replace(why, place=place)
    return Doing(state, most.what, since, place, dict(counts), why, most.first)


def _why_the_rest(found: Sequence[Fact]) -> Why | None:
    """Of what runs: that more of it would run if its own max_parallelism let it."""
    return next((fact.why for fact in found if fact.why is not None and fact.why.code == "parallelism"), None)
