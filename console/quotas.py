"""What doors show of quotas: to each what concerns the projects he may read, with what is in use now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from artifacts.exceptions import NotFound
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from scheduler.actions import quotas
from scheduler.actions.quotas import Setter
from scheduler.models import Execution, Quota, QuotaScope
from scheduler.phases import ExecutionPhase
from scheduler.quotas import why
from scheduler.quotas.estimate import Asking
from scheduler.quotas.resources import HOURS, LAUNCHES, OF_EXECUTIONS, SETTINGS, WEIGHT, named, words
from scheduler.quotas.rules import Block, Lane, Limit, Scope
from scheduler.quotas.warning import is_near
from scheduler.quotas.why import Queued

_WHOSE = ("project", "domain", "principal")
MOST_PERCENT = 1e9  # told of a limit, however small it is
MOST_KINDS = 200  # projects, users and launch plans of which the line of executions tells


@dataclass(frozen=True)
class Shown:
    """A quota as people see it."""

    row: Quota
    used: float
    waiting: int  # attempts, or executions, that wait for it now
    valid: bool  # whether it holds now
    may_change: bool
    lender: str  # whom it borrows from, in words; empty: nobody

    @property
    def is_setting(self) -> bool:
        """Whether it limits nothing (weight, preemption)."""
        return self.row.resource in SETTINGS

    @property
    def percent(self) -> int:
        """Of the limit; 100 where the limit is none at all."""
        if self.is_setting:
            return 0
        if not self.row.limit:
            return 100 if self.used else 0
        return round(min(100 * self.used / self.row.limit, MOST_PERCENT))

    @property
    def state(self) -> str:
        """`ok`, `warning` from the warning level on, `full`, `borrowing` (more than the limit, of a lender's), `over`
        (it was lowered below what runs), `off`."""
        if not self.valid:
            return "off"
        if self.is_setting:
            return "ok"
        if self.used > self.row.limit + 1e-6:
            return "borrowing" if self.row.borrows_from_id else "over"
        if self.used >= self.row.limit - 1e-6:
            return "full"
        return "warning" if is_near(self.row, self.used) else "ok"

    @property
    def warning(self) -> str:
        """What whoever set it below what is used now has to know; empty: nothing."""
        if self.state != "over":
            return ""
        said = f"{self.used_words} of {self.limit_words} {self.row.resource} of {self.row.subject} are in use"
        return f"{said}: what runs goes on, and nothing more starts until less is."

    @property
    def limit_words(self) -> str:
        return words(self.row.resource, self.row.limit) + self._unit

    @property
    def used_words(self) -> str:
        return words(self.row.resource, self.used)

    @property
    def guaranteed_words(self) -> str:
        return words(self.row.resource, self.row.guaranteed) if self.row.guaranteed else ""

    @property
    def _unit(self) -> str:
        if self.row.resource in HOURS:
            return f" a {self.row.window}"
        return " a minute" if self.row.resource == LAUNCHES else ""


def shown(user: User, *, project: str = "") -> list[Shown]:
    """Those that the user may see, the widest first."""
    order = {kind: place for place, kind in enumerate(QuotaScope.values)}
    rows = [one for one in Quota.objects.select_related("borrows_from") if may_see(user, one)]
    if project:
        rows = [one for one in rows if one.project in ("", project)]
    rows.sort(key=lambda one: (order[one.scope], one.project, one.domain, one.user, one.launch_plan, one.resource))
    if not rows:
        return []
    picture = why.Picture()
    known, waiting = {one.id: one for one in picture.limits}, _waiting(picture)
    if any(one.resource in OF_EXECUTIONS for one in rows):
        waiting |= _waiting_executions(picture)
    return [_shown(user, row, picture, known.get(row.pk), waiting) for row in rows]


def _waiting(picture: why.Picture) -> dict[int, int]:
    """How many attempts wait for each limit: those of a lane for the first that is in their way."""
    found: dict[int, int] = {}
    for lane, places in why.waiting_lanes().items():
        if block := picture.ledger.block(lane):
            found[block.limit.id] = found.get(block.limit.id, 0) + sum(one.count for one in places)
    return found


def _shown(user: User, row: Quota, picture: why.Picture, limit: Limit | None, waiting: dict[int, int]) -> Shown:
    used, number = 0.0, 0
    if limit is not None and row.resource not in SETTINGS:
        ledger = picture.of_executions if row.resource in OF_EXECUTIONS else picture.ledger
        used, number = ledger.total(limit), waiting.get(row.pk, 0)
    return Shown(row, used, number, limit is not None, may_change(user, row), _lender(user, row))


def _waiting_executions(picture: why.Picture) -> dict[int, int]:
    """How many executions wait for each of the quotas of executions: for each that is in their way."""
    kinds = Execution.objects.filter(waits_since__isnull=False, phase=ExecutionPhase.QUEUED).order_by()
    found: Counter[int] = Counter()
    groups = kinds.values_list(*_WHOSE, "launch_plan__name").annotate(count=Count("pk"))
    for project, domain, principal, plan, count in groups:
        for limit in why.keeping(picture, project, domain, principal, plan or ""):
            found[limit.id] += count
    return found


def _lender(user: User, row: Quota) -> str:
    if row.borrows_from is None:
        return ""
    return row.borrows_from.subject if may_see(user, row.borrows_from) else _another(row.scope)


def _another(scope: str) -> str:
    """Instead of the name of one that he may not see."""
    kind = {QuotaScope.USER: "user", QuotaScope.LAUNCH_PLAN: "launch plan"}.get(QuotaScope(scope), "project")
    return f"another {kind}"


def lender_meant(user: User, scope: Scope, resource: str, name: str) -> str | int:
    """The number of the lender that the quota has, where it is called as the user sees it; else the name."""
    whose = {"project": scope.project, "domain": scope.domain, "user": scope.user, "launch_plan": scope.launch_plan}
    rows = Quota.objects.filter(**whose, scope=scope.kind, resource=named(resource)) if name else Quota.objects.none()
    row = rows.exclude(borrows_from=None).select_related("borrows_from").first()
    if row is None or row.borrows_from is None:
        return name
    shown = _lender(user, row)
    return row.borrows_from.pk if name in (shown, shown.removeprefix("project ")) else name


def near(rows: Iterable[Shown]) -> list[Quota]:
    """Those whose use has come to the warning level, as of the last sweep, the longest warned of first."""
    warned = [(one.row.warned_since, one.row.pk, one.row) for one in rows if one.row.warned_since is not None]
    return [row for _, _, row in sorted(warned, key=lambda each: each[:2])]


def may_see(user: User, row: Quota) -> bool:
    """What is of everything holds for everybody; of users each sees his own."""
    if row.scope == QuotaScope.EVERYTHING or access.can(user, Action.ADMIN):
        return True
    if row.scope == QuotaScope.USER:
        return row.user == user.username
    if row.domain:
        return access.can(user, Action.READ, row.project, row.domain)
    known = access.known_projects(user)  # what is of a project holds in each of its domains
    return known is None or row.project in known


def may_change(user: User, row: Quota) -> bool:
    """Whether he may change anything of it; what exactly, the action says."""
    if access.can(user, Action.ADMIN):
        return True
    of_project = row.scope not in (QuotaScope.EVERYTHING, QuotaScope.USER) and row.resource != WEIGHT
    return of_project and access.can(user, Action.ADMIN, row.project, row.domain)


def access_quota(user: User, pk: int) -> Shown:
    found = next((one for one in shown(user) if one.row.pk == pk), None)
    if found is None:
        raise NotFound(f"no quota {pk}")
    return found


def setter(user: User, scope: Scope) -> Setter:
    """Raises PermissionDenied unless the user administers everything, or the project that the scope is in."""
    platform = access.can(user, Action.ADMIN)
    if not platform:
        inside = scope.kind not in (QuotaScope.EVERYTHING, QuotaScope.USER)
        access.require(user, Action.ADMIN, scope.project if inside else "", scope.domain if inside else "")
    return Setter(user.username, platform)


def setter_of(user: User, pk: int) -> Setter:
    """For one that is there. NotFound where the user may not even see it."""
    row = quotas.access(pk)
    if not may_see(user, row):
        raise NotFound(f"no quota {pk}")
    return setter(user, quotas.scope_of_row(row))


@dataclass(frozen=True)
class InLine:
    """Attempts that wait, of a project and for one thing."""

    project: str
    domain: str
    place: str  # executor or cluster
    code: str
    message: str
    count: int
    since: datetime
    starts_at: datetime | None = None  # about, the next of them; None: nobody can tell


def queue(user: User, *, project: str = "") -> list[InLine]:
    """What waits, of the projects the user may read: by lanes, so that it costs the same for ten thousand."""
    picture = why.Picture()
    may_read, sees_all = access.reader(user), access.can(user, Action.ADMIN)
    found: dict[tuple[str, ...], InLine] = {}
    for lane, places in why.waiting_lanes().items():
        if (project and lane.project != project) or not may_read(lane.project, lane.domain):
            continue
        block = picture.block(lane.id)
        told = block.told(numbers=_may_know(user, block, sees_all=sees_all)) if block else ""
        for one in places:
            because = why.of_queued(Queued(one.executor, one.cluster, lane.id, one.reason, one.since), picture)
            key = (lane.project, lane.domain, one.cluster or one.executor, because.code, told or because.message)
            before = found.get(key)
            since = min(one.since, before.since) if before else one.since
            starts = before.starts_at if before else _next(lane, one, picture)
            found[key] = InLine(*key, count=one.count + (before.count if before else 0), since=since, starts_at=starts)
    return sorted([*found.values(), *_executions(user, picture, project)], key=lambda one: one.since)


def _may_know(user: User, block: Block, *, sees_all: bool) -> bool:
    """What a user has elsewhere is for himself."""
    scope = block.limit.scope
    return scope.kind != QuotaScope.USER or sees_all or scope.user == user.username


def _next(lane: Lane, one: why.InLane, picture: why.Picture) -> datetime | None:
    """About when the next of them starts, if nobody else comes first."""
    return why.starts_at(Asking(0, lane.priority, lane.id, one.executor, one.cluster, one.reason), picture)


def _executions(user: User, picture: why.Picture, project: str) -> list[InLine]:
    """Those that have not started: of each project, user and launch plan the one that waits longest tells why."""
    rows = Execution.objects.filter(access.readable(user), waits_since__isnull=False, phase=ExecutionPhase.QUEUED)
    rows = rows.filter(project=project) if project else rows
    kinds = rows.order_by().values(*_WHOSE, "launch_plan").annotate(count=Count("pk"), first=Min("pk"))
    counts = dict(kinds.order_by("first").values_list("first", "count")[:MOST_KINDS])
    needed = (*_WHOSE, "waits_since", "created_at", "launch_plan__name")
    firsts = list(Execution.objects.filter(pk__in=counts).select_related("launch_plan").only(*needed))
    whys = why.of_waiting(firsts, picture)
    return [
        InLine(
            one.project,
            one.domain,
            "",
            because.code,
            because.message,
            counts[one.pk],
            because.since,
            why.next_of_executions(one, picture),
        )
        for one in firsts
        for because in [whys[one.pk]]
    ]
