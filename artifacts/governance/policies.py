"""What a policy says must hold for an alias to name a version, and whether it does. Pure: facts in, clauses out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from artifacts.exceptions import InvalidArgument
from artifacts.governance.reading import Members

ROLES = ("approver", "admin")  # who may move a governed alias by hand: each includes those behind it
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_QUORUM, MAX_APPROVERS, MAX_QUIET = 20, 100, 20


@dataclass(frozen=True)
class Quiet:
    """Hours in which nobody moves the alias but by force: from `begin` to before `end`, the next day's where it is not
    later; `days` are those of the beginning; empty: every day.
    """

    begin: str  # HH:MM
    end: str
    days: tuple[str, ...] = ()
    timezone: str = "UTC"

    def holds(self, moment: datetime) -> bool:
        local = moment.astimezone(ZoneInfo(self.timezone))
        begin, end, now = time.fromisoformat(self.begin), time.fromisoformat(self.end), local.time()
        today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
        if begin < end:
            return begin <= now < end and self._on(today)
        return (now >= begin and self._on(today)) or (now < end and self._on(yesterday))

    def until(self, moment: datetime) -> datetime:
        """When they end that hold now."""
        local = moment.astimezone(ZoneInfo(self.timezone))
        end = time.fromisoformat(self.end)
        day = local.date() if local.time() < end else local.date() + timedelta(days=1)
        found = datetime.combine(day, end, tzinfo=ZoneInfo(self.timezone))
        return found if found > moment else found.replace(fold=1)  # the hour comes twice when clocks are put back

    def _on(self, day: str) -> bool:
        return not self.days or day in self.days

    def __str__(self) -> str:
        days = f" on {', '.join(self.days)}" if self.days else ""
        return f"{self.begin} to {self.end} {self.timezone}{days}"


@dataclass(frozen=True)
class Policy:
    """`checks` are names of the artifact's. `per`: partition keys; the alias names a version for each of their values,
    and whatever moves one of these pointers leaves the others. `approvals`: so many, of the `approvers` (empty: of
    anybody who may decide), none of whom published the version. `automatic`: a version that satisfies all of it becomes
    the alias's by itself, when it is newer than the one it names. `fall_back`: when one of the checks fails for the
    version that it names, it goes back to the newest that satisfies all of it.
    """

    checks: tuple[str, ...] = ()
    partitions: Mapping[str, str] = field(default_factory=dict)
    per: tuple[str, ...] = ()
    approvals: int = 0
    approvers: tuple[str, ...] = ()
    role: str = "approver"
    force_role: str = "admin"
    quiet: tuple[Quiet, ...] = ()
    automatic: bool = False
    fall_back: bool = False

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), **{name: list(getattr(self, name)) for name in _LISTS}}


_LISTS = ("checks", "per", "approvers")


def read_policy(given: object, *, checks: Collection[str], partition_keys: Collection[str]) -> Policy:
    """The policy as somebody wrote it. InvalidArgument for checks and partitions that the artifact does not have, a
    quorum larger than its group, and whatever has another type.
    """
    members = Members(given if given is not None else {}, "a policy")
    policy = Policy(
        checks=members.texts("checks"),
        partitions=members.mapping("partitions"),
        per=tuple(sorted(members.texts("per"))),
        approvals=members.whole("approvals", least=0, most=MAX_QUORUM) or 0,
        approvers=members.texts("approvers"),
        role=members.choice("role", ROLES, "approver"),
        force_role=members.choice("force_role", ROLES, "admin"),
        quiet=tuple(_quiet(one) for one in members.objects("quiet")),
        automatic=members.flag("automatic"),
        fall_back=members.flag("fall_back"),
    )
    members.done()
    _check_names("check", policy.checks, checks)
    _check_names("partition", policy.partitions, partition_keys)
    _check_names("partition", policy.per, partition_keys)
    _check_approvers(policy)
    if policy.automatic and not (policy.checks or policy.approvals):
        raise InvalidArgument(
            "a policy moves its alias by itself when a check passes or somebody approves: name 'checks', or 'approvals'"
        )
    if policy.fall_back and not policy.checks:
        raise InvalidArgument("a policy falls back when one of its checks fails: name some in 'checks'")
    if len(policy.quiet) > MAX_QUIET:
        raise InvalidArgument(f"a policy has at most {MAX_QUIET} quiet hours, not {len(policy.quiet)}")
    return policy


def _check_names(what: str, given: Collection[str], known: Collection[str]) -> None:
    if missing := sorted(set(given) - set(known)):
        there = ", ".join(sorted(known)) or "none"
        raise InvalidArgument(f"the artifact has no {what} {', '.join(missing)}; its {what}s: {there}")


def _check_approvers(policy: Policy) -> None:
    if len(policy.approvers) > MAX_APPROVERS:
        raise InvalidArgument(f"a policy names at most {MAX_APPROVERS} approvers, not {len(policy.approvers)}")
    if policy.approvers and not policy.approvals:
        raise InvalidArgument("a policy that names approvers says how many of them: 'approvals'")
    if policy.approvers and policy.approvals > len(policy.approvers):
        raise InvalidArgument(
            f"{policy.approvals} approvals of {len(policy.approvers)} approvers ({', '.join(policy.approvers)}): "
            "a quorum cannot be larger than its group"
        )


def _quiet(one: object) -> Quiet:
    members = Members(one, "quiet hours")
    begin, end = (_clock(members, name) for name in ("begin", "end"))
    if begin == end:
        raise InvalidArgument(f"quiet hours from {begin} to {end} are none, or all: give another end")
    days, zone = members.texts("days"), members.text("timezone") or "UTC"
    members.done()
    _check_days(days)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(f"there is no time zone {zone[:80]!r}: give one like Europe/Berlin") from None
    return Quiet(begin, end, days, zone)


def _check_days(days: Sequence[str]) -> None:
    if unknown := sorted(set(days) - set(DAYS)):
        raise InvalidArgument(f"quiet hours: there is no day {', '.join(unknown)}; days: {', '.join(DAYS)}")


def _clock(members: Members, name: str) -> str:
    text = members.text(name, required=True)
    try:
        return time.fromisoformat(text).strftime("%H:%M")
    except ValueError:
        raise InvalidArgument(f"quiet hours: '{name}' must be a time of day like 22:00, not {text[:80]!r}") from None


def kept_policy(rules: Mapping[str, Any]) -> Policy:
    """The policy as it is kept."""
    values = dict(rules)
    values["quiet"] = tuple(Quiet(**{**one, "days": tuple(one["days"])}) for one in rules.get("quiet", ()))
    for name in _LISTS:
        values[name] = tuple(rules.get(name, ()))
    return Policy(**values)


@dataclass(frozen=True)
class CheckFact:
    status: str  # passed, failed or pending
    message: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """What is known of a version that an alias is to name. `approved_by`: whose last word was to approve it."""

    partitions: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, CheckFact] = field(default_factory=dict)
    approved_by: tuple[str, ...] = ()
    author: str = ""
    is_removed: bool = False
    is_quarantined: bool = False


@dataclass(frozen=True)
class Clause:
    """One thing that must hold, whether it does, and what was found."""

    name: str  # `check:auc`, `partition:region`, `approvals`, `quarantine`, `role`, `quiet`
    holds: bool
    said: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def merits(policy: Policy, candidate: Candidate) -> list[Clause]:
    """The clauses about the version itself: they must hold for as long as the alias names it."""
    found = [Clause("removed", False, "its data was removed")] if candidate.is_removed else []
    if candidate.is_quarantined:
        found.append(Clause("quarantine", False, "it is quarantined"))
    for key, value in sorted(policy.partitions.items()):
        own = candidate.partitions.get(key)
        found.append(
            Clause(f"partition:{key}", own == value, f"{key} is {own}" + ("" if own == value else f", not {value}"))
        )
    found += [_check(name, candidate.checks.get(name)) for name in policy.checks]
    if policy.approvals:
        found.append(_approvals(policy, candidate))
    return found


def _check(name: str, fact: CheckFact | None) -> Clause:
    if fact is None:
        return Clause(f"check:{name}", False, f"check {name} did not judge it")
    said = f"check {name} {'is pending' if fact.status == 'pending' else fact.status}"
    return Clause(
        f"check:{name}", fact.status == "passed", said + (f": {fact.message}" if fact.message else ""), fact.numbers
    )


def _approvals(policy: Policy, candidate: Candidate) -> Clause:
    counted = sorted(set(candidate.approved_by) - {candidate.author})
    if policy.approvers:
        counted = [name for name in counted if name in policy.approvers]
    group = f" of {', '.join(policy.approvers)}" if policy.approvers else ""
    said = f"approved by {', '.join(counted) or 'nobody'}, {policy.approvals}{group} asked"
    numbers = {"approvals": float(len(counted)), "asked": float(policy.approvals)}
    return Clause("approvals", len(counted) >= policy.approvals, said, numbers)


def circumstances(policy: Policy, *, by_hand: bool, roles: Collection[str], now: datetime | None) -> list[Clause]:
    """The clauses about the move: who makes it, and when; None: the hour does not matter."""
    found = []
    if by_hand:
        holds = policy.role in roles
        found.append(Clause("role", holds, f"it takes the role {policy.role} to move it by hand"))
    for one in policy.quiet:
        if now is not None and one.holds(now):
            found.append(Clause("quiet", False, f"now are its quiet hours, {one}"))
    return found


def quiet_until(policy: Policy, now: datetime) -> datetime | None:
    """When the quiet hours of now are over, by the last of those that hold; None: there are none now."""
    return max((one.until(now) for one in policy.quiet if one.holds(now)), default=None)


def failing(clauses: Sequence[Clause]) -> list[Clause]:
    return [clause for clause in clauses if not clause.holds]
