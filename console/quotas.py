"""What doors show of quotas: to each what concerns the projects he may read, with what is in use now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from artifacts.exceptions import NotFound
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from scheduler.actions import quotas
from scheduler.actions.quotas import Setter
from scheduler.models import Execution, Quota, QuotaScope
from scheduler.quotas import why
from scheduler.quotas.resources import HOURS, LAUNCHES, OF_EXECUTIONS, WEIGHT, words
from scheduler.quotas.rules import Limit, Scope


@dataclass(frozen=True)
class Shown:
    """A quota as people see it."""

    row: Quota
    used: float
    waiting: int  # attempts, or executions, that wait for it now
    valid: bool  # whether it holds now
    may_change: bool

    @property
    def percent(self) -> int:
        """Of the limit; 100 where the limit is none at all."""
        if self.row.resource == WEIGHT:
            return 0
        return round(100 * self.used / self.row.limit) if self.row.limit else (100 if self.used else 0)

    @property
    def state(self) -> str:
        """`ok`, `warning` from the warning level on, `full`, `over` (it was lowered below what runs), `off`."""
        if not self.valid:
            return "off"
        if self.row.resource == WEIGHT:
            return "ok"
        if self.used > self.row.limit + 1e-6:
            return "over"
        if self.used >= self.row.limit - 1e-6:
            return "full"
        return "warning" if self.percent >= self.row.warn_at else "ok"

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
    if limit is not None and row.resource != WEIGHT:
        of_executions = row.resource in OF_EXECUTIONS
        ledger = picture.of_executions if of_executions else picture.ledger
        used = ledger.total(limit)
        number = _waiting_executions(row) if of_executions else waiting.get(row.pk, 0)
    return Shown(row, used, number, limit is not None, may_change(user, row))


def _waiting_executions(row: Quota) -> int:
    rows = Execution.objects.filter(waits_since__isnull=False, phase=1)
    names = {"project": row.project, "domain": row.domain, "principal": row.user, "launch_plan__name": row.launch_plan}
    return rows.filter(**{name: value for name, value in names.items() if value}).count()


def may_see(user: User, row: Quota) -> bool:
    """What is of everything holds for everybody; of users each sees his own."""
    if row.scope == QuotaScope.EVERYTHING or access.can(user, Action.ADMIN):
        return True
    if row.scope == QuotaScope.USER:
        return row.user == user.username
    known = access.known_projects(user)
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


def queue(user: User, *, project: str = "") -> list[InLine]:
    """What waits, of the projects the user may read: by lanes, so that it costs the same for ten thousand."""
    picture = why.Picture()
    readable = access.known_projects(user)
    found: dict[tuple[str, ...], InLine] = {}
    for lane, places in why.waiting_lanes().items():
        if (readable is not None and lane.project not in readable) or (project and lane.project != project):
            continue
        block = picture.ledger.block(lane) if picture.limits else None
        for one in places:
            code, message = ("quota", block.words) if block else _otherwise(picture, one)
            where = one.cluster or one.executor
            key = (lane.project, lane.domain, where, code, message)
            before = found.get(key)
            since = min(one.since, before.since) if before else one.since
            found[key] = InLine(*key, count=one.count + (before.count if before else 0), since=since)
    return sorted([*found.values(), *_executions(user, picture, project)], key=lambda one: one.since)


def _otherwise(picture: why.Picture, one: why.InLane) -> tuple[str, str]:
    if picture.instances(one.executor, one.cluster):
        return "capacity", "the quotas let it go: it waits for room, or for its turn"
    return "cluster away", f"nothing has been heard of {one.cluster or one.executor} for {why.AWAY.seconds} s"


def _executions(user: User, picture: why.Picture, project: str) -> list[InLine]:
    """Those that have not started."""
    rows = Execution.objects.filter(access.readable(user), waits_since__isnull=False, phase=1)
    rows = rows.filter(project=project) if project else rows
    kinds = rows.order_by("project", "domain", "principal", "launch_plan", "id").distinct(
        "project", "domain", "principal", "launch_plan"
    )
    found = []
    for one in kinds.select_related("launch_plan")[:200]:
        reason = why.of_executions([one], picture).get(one.pk)
        if reason is not None:
            same = rows.filter(
                project=one.project, domain=one.domain, principal=one.principal, launch_plan=one.launch_plan
            )
            found.append(InLine(one.project, one.domain, "", reason.code, reason.message, same.count(), reason.since))
    return found
