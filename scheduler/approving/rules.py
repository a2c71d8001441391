"""Who may decide about a gate, and what comes of what they said: pure, of plain values."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from artifacts.exceptions import InvalidArgument

GROUP = "group:"  # begins a group's name where people may be named too
ROLES = ("contributor", "approver", "admin")
MOST_NAMES = 200
LONGEST = timedelta(days=366)  # a delegation, and what is told ahead of a time-out


@dataclass(frozen=True)
class Rule:
    """`people`, `groups` and `role` add up; without any of them, whoever holds the role approver.

    `quorum` people have to approve, `rejections` to reject; `author_may`: who made what is decided about too.
    """

    people: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    role: str = ""
    quorum: int = 1
    rejections: int = 1
    author_may: bool = False
    escalate_before: timedelta | None = None
    escalate_to: frozenset[str] = frozenset()
    where: str = ""  # which rule it is, in words; empty: the one that holds without any
    of_approvers: bool = False  # whoever has a seat has to have the role approver besides

    @property
    def is_default(self) -> bool:
        return not self.where

    def as_json(self) -> dict[str, Any]:
        """As a decision keeps it."""
        before = self.escalate_before.total_seconds() if self.escalate_before is not None else None
        return {
            "rule": self.where or "default",
            "people": sorted(self.people),
            "groups": sorted(self.groups),
            "role": self.role,
            "quorum": self.quorum,
            "rejections": self.rejections,
            "author_may": self.author_may,
            "escalate_before_seconds": before,
            "escalate_to": sorted(self.escalate_to),
        }


DEFAULT = Rule(role="approver", author_may=True)  # any one approver, as without a rule it always was


@dataclass(frozen=True)
class Vote:
    actor: str
    acting_for: str
    approve: bool
    digest: str  # of what was reviewed


class Outcome(enum.Enum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


def tally(rule: Rule, votes: Iterable[Vote], *, digest: str) -> Outcome:
    """What the votes come to. One about something else than `digest` counts for nothing, and neither a person nor a
    seat counts twice, whoever acts for whom. A rejection that is due counts before an approval.
    """
    approving: dict[str, str] = {}
    rejecting: dict[str, str] = {}
    for vote in votes:
        seats = approving if vote.approve else rejecting
        if vote.digest == digest and vote.acting_for not in seats and vote.actor not in seats.values():
            seats[vote.acting_for] = vote.actor
    if len(rejecting) >= rule.rejections:
        return Outcome.REJECTED
    return Outcome.APPROVED if len(approving) >= rule.quorum else Outcome.PENDING


@dataclass(frozen=True)
class Mandate:
    """A delegation in force: `to` acts for `giver` from `starts` until `ends`."""

    giver: str
    to: str
    starts: datetime
    ends: datetime

    def holds(self, at: datetime) -> bool:
        return self.starts <= at < self.ends


def acting_for(actor: str, mandates: Iterable[Mandate], *, at: datetime) -> list[str]:
    """Whom the actor may act for at that time, himself first, however many hands it went through; nearest first."""
    given: dict[str, list[str]] = {}
    for mandate in mandates:
        if mandate.holds(at):
            given.setdefault(mandate.to, []).append(mandate.giver)
    found, queue = [actor], [actor]
    while queue:
        for giver in sorted(given.get(queue.pop(0), ())):
            if giver not in found:
                found.append(giver)
                queue.append(giver)
    return found


@dataclass(frozen=True)
class Seats:
    """Who may decide: `holders` by name, `authors` may not, `voted` have done so."""

    holders: frozenset[str]
    authors: frozenset[str] = frozenset()
    voted: frozenset[str] = frozenset()  # seats


def seat_for(actor: str, chain: Sequence[str], seats: Seats, rule: Rule) -> str:
    """The seat that the actor decides in, his own before one that was delegated to him; empty: he has none.

    `chain`: whom he may act for (acting_for). An author has none, neither his own nor another's.
    """
    barred = frozenset() if rule.author_may else seats.authors
    if actor in barred:
        return ""
    free = (name for name in chain if name in seats.holders and name not in barred and name not in seats.voted)
    return next(free, "")


def check_rule(rule: Rule, *, known: Collection[str], groups: Mapping[str, Collection[str]], of_role: int) -> None:
    """InvalidArgument for a rule that nobody could fulfil, with what is allowed.

    `known`: the people there are among those it names; `groups`: the groups there are, with their members; `of_role`:
    how many people hold its role there.
    """
    _check_names(rule.people, known, "people")
    _check_groups(rule.groups, groups, "groups")
    _check_names({name for name in rule.escalate_to if not name.startswith(GROUP)}, known, "escalate_to")
    _check_groups({name[len(GROUP) :] for name in rule.escalate_to if name.startswith(GROUP)}, groups, "escalate_to")
    if rule.role and rule.role not in ROLES:
        raise InvalidArgument(f"role: {rule.role!r} is none; there are: {', '.join(ROLES)}")
    if not (rule.people or rule.groups or rule.role):
        raise InvalidArgument("a rule names people, groups or a role: it names nobody")
    if rule.quorum < 1 or rule.rejections < 1:
        raise InvalidArgument("quorum and rejections are at least 1")
    named = set(rule.people).union(*(groups[name] for name in rule.groups))
    most = len(named) + of_role
    for what, count in (("quorum", rule.quorum), ("rejections", rule.rejections)):
        if count > most:
            raise InvalidArgument(
                f"{what}: {count} is more than may decide, who are {most}"
                + (f" ({', '.join(sorted(named)[:20])})" if named else "")
                + f"; at most {most} is allowed"
            )
    if rule.escalate_before is not None and not timedelta(0) < rule.escalate_before <= LONGEST:
        raise InvalidArgument(f"escalate_before is more than nothing and at most {LONGEST.days} days")
    if (rule.escalate_before is None) != (not rule.escalate_to):
        raise InvalidArgument("escalate_before and escalate_to go together: when, and to whom")


def _check_names(names: Collection[str], known: Collection[str], what: str) -> None:
    if len(names) > MOST_NAMES:
        raise InvalidArgument(f"{what}: at most {MOST_NAMES} names, not {len(names)}")
    if unknown := sorted(set(names) - set(known)):
        raise InvalidArgument(f"{what}: there is no active user {unknown[0]!r}")


def _check_groups(names: Collection[str], groups: Mapping[str, Collection[str]], what: str) -> None:
    if unknown := sorted(set(names) - set(groups)):
        there = ", ".join(sorted(groups)) or "none"
        raise InvalidArgument(f"{what}: there is no group {unknown[0]!r} in this project; there are: {there}")


def check_delegation(new: Mandate, others: Iterable[Mandate], *, now: datetime) -> None:
    """InvalidArgument for one to oneself, one that has ended, is longer than LONGEST, or goes round in a circle with
    others that hold at the same time.
    """
    if new.giver == new.to:
        raise InvalidArgument(f"{new.giver} cannot delegate to {new.to}: that is the same person")
    if new.ends <= now or new.ends <= new.starts:
        raise InvalidArgument("ends_at: a delegation ends after it starts, and in the future")
    if new.ends - max(new.starts, now) > LONGEST:
        raise InvalidArgument(f"ends_at: a delegation lasts {LONGEST.days} days at most")
    if circle := _circle(new, [one for one in others if one.starts < new.ends and new.starts < one.ends]):
        raise InvalidArgument(
            f"that would go round in a circle: {' -> '.join(circle)}; "
            f"delegate to somebody who does not, in the end, delegate to {new.giver}"
        )


def _circle(new: Mandate, others: Sequence[Mandate]) -> list[str]:
    """The way from `new.to` back to `new.giver`, as a chain of names that begins and ends with the giver."""
    given: dict[str, set[str]] = {}
    for one in others:
        given.setdefault(one.giver, set()).add(one.to)
    ways, seen = [[new.giver, new.to]], {new.to}
    while ways:
        way = ways.pop(0)
        if way[-1] == new.giver:
            return way
        for to in sorted(given.get(way[-1], ())):
            if to == new.giver:
                return [*way, to]
            if to not in seen:
                seen.add(to)
                ways.append([*way, to])
    return []


@dataclass(frozen=True)
class Difference:
    """What was reviewed, and is not the same any more."""

    changed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed)

    def __str__(self) -> str:
        return f"{', '.join(self.changed)} changed since"


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> Difference:
    """Which parts of what was reviewed are other or gone now; what is there in addition is listed too."""
    parts = sorted({*before, *now})
    return Difference([name for name in parts if before.get(name) != now.get(name)])
