"""Setting, changing and removing quotas. What runs is never stopped by one: a limit below what is used now only lets
nothing more start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from audit.record import record
from scheduler.models import ExecutorInstance, NamedEntity, Project, Quota, QuotaScope, QuotaWindow, ResourceType
from scheduler.models.quota import WARN_AT
from scheduler.quotas.reading import ADMITTING
from scheduler.quotas.resources import (
    CPU,
    GPU,
    HOURS,
    MODEL,
    OF_EXECUTIONS,
    PREEMPTION,
    SETTINGS,
    WEIGHT,
    amount,
    named,
    words,
)
from scheduler.quotas.rules import EVERYTHING, Scope, circle
from scheduler.wake import wake_admission, wake_executor


@dataclass(frozen=True)
class Setter:
    """Who sets it: an administrator of everything, or of some projects, who may only lower what they have."""

    name: str
    platform: bool


@dataclass(frozen=True)
class Wanted:
    """A quota as somebody wants it: amounts as he wrote them."""

    scope: Scope
    resource: str
    limit: object
    warn_at: int = WARN_AT
    guaranteed: object = 0
    borrows_from: str | int = ""  # a project, or what the quota's subject is called; a number: that quota
    window: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def scope_of(kind: str = "", *, project: str = "", domain: str = "", user: str = "", launch_plan: str = "") -> Scope:
    """What is named says which kind it is, where that is not said. InvalidArgument for what does not go together."""
    given = {"project": project, "domain": domain, "user": user, "launch_plan": launch_plan}
    needed = {
        "everything": set(),
        "project": {"project"},
        "domain": {"project", "domain"},
        "user": {"user"},
        "launch_plan": {"project", "domain", "launch_plan"},
    }
    told = {name for name, value in given.items() if value}
    if not kind:
        kind = next((one for one, names in needed.items() if names == told), "")
    if kind not in needed or needed[kind] != told:
        shown = "; ".join(f"{one}: {', '.join(sorted(names)) or 'nothing'}" for one, names in needed.items())
        raise InvalidArgument(
            f"a quota's scope {kind or 'of ' + ', '.join(sorted(told))!r} does not go with what is named: {shown}"
        )
    return Scope(kind, **given)


def set_quota(wanted: Wanted, *, by: Setter) -> tuple[Quota, bool]:
    """The row, and whether it is new: one of the same scope, resource and window is replaced.

    InvalidArgument for what is not understood or cannot be, NotFound for a project, user or launch plan that is not
    there, PermissionDenied for what an administrator of a project may not.
    """
    resource, window = named(wanted.resource), _window(wanted)
    _check_scope(wanted.scope, resource)
    given = {
        "limit": amount(resource, wanted.limit),
        "guaranteed": amount(resource, wanted.guaranteed, "the guaranteed share"),
        "warn_at": wanted.warn_at,
        "valid_from": wanted.valid_from,
        "valid_until": wanted.valid_until,
    }
    with transaction.atomic():
        _alone()
        row = Quota.objects.filter(**_key(wanted.scope, resource, window)).first()
        made = row is None
        before = _shown(row) if row is not None else {}
        now = timezone.now()
        row = row or Quota(**_key(wanted.scope, resource, window), created_by=by.name, created_at=now)
        lender = _lender(row, wanted.borrows_from, by) if wanted.borrows_from else None
        _check_rights(row, given, by, made=made)
        for name, value in {**given, "borrows_from": lender}.items():
            setattr(row, name, value)
        row.by_platform = row.by_platform and not made or by.platform
        row.updated_by, row.updated_at = by.name, now
        _check(row)
        row.save()
        changed = _changes(before, _shown(row))
        if made or changed:
            verb = "quota.create" if made else "quota.update"
            record(by.name, verb, row, project=row.project, domain=row.domain, detail=changed)
        _wake()
    return row, made


def change_quota(pk: int, changes: Mapping[str, Any], *, by: Setter) -> Quota:
    """Only what is named: limit, warn_at, guaranteed, borrows_from, valid_from, valid_until. Raises as `set_quota`."""
    with transaction.atomic():
        _alone()
        row = access(pk)
        kept = Wanted(
            scope_of_row(row),
            row.resource,
            row.limit,
            row.warn_at,
            row.guaranteed,
            row.borrows_from_id or "",
            row.window,
            row.valid_from,
            row.valid_until,
        )
        return set_quota(replace(kept, **changes), by=by)[0]


def remove_quota(pk: int, *, by: Setter) -> None:
    """FailedPrecondition while others borrow from it, PermissionDenied for one that is not his to lift."""
    with transaction.atomic():
        _alone()
        row = access(pk)
        if row.by_platform and not by.platform:
            raise PermissionDenied(f"the quota {row} was set by an administrator of everything: only one lifts it")
        if borrowers := [str(one) for one in row.lends_to.order_by("pk")]:
            if not by.platform:  # whom it lends to he may not know
                raise FailedPrecondition(f"the quota {row} lends to others: an administrator of everything ends that")
            raise FailedPrecondition(f"the quota {row} lends to {', '.join(borrowers)}: change these first")
        if Quota.objects.filter(pk=row.pk).delete()[0]:  # of two at once one did it
            record(by.name, "quota.remove", row, project=row.project, domain=row.domain, detail=_shown(row))
        _wake()


def access(pk: int) -> Quota:
    row = Quota.objects.select_related("borrows_from").filter(pk=pk).first()
    if row is None:
        raise NotFound(f"no quota {pk}")
    return row


def scope_of_row(row: Quota) -> Scope:
    return Scope(row.scope, row.project, row.domain, row.user, row.launch_plan)


def _key(scope: Scope, resource: str, window: str) -> dict[str, str]:
    return {
        "scope": scope.kind,
        "project": scope.project,
        "domain": scope.domain,
        "user": scope.user,
        "launch_plan": scope.launch_plan,
        "resource": resource,
        "window": window,
    }


def _window(wanted: Wanted) -> str:
    resource = named(wanted.resource)
    if resource not in HOURS:
        if wanted.window:
            raise InvalidArgument(f"a window is of hours ({', '.join(HOURS)}), not of {resource}")
        return ""
    window = wanted.window or QuotaWindow.MONTH.value
    if window not in QuotaWindow.values:
        raise InvalidArgument(f"{window!r} is no window: there are {', '.join(QuotaWindow.values)}")
    return window


def _check_scope(scope: Scope, resource: str) -> None:
    """That what it names is there: a quota of a misspelt project or user would hold nobody back."""
    if scope.project and not Project.objects.filter(identifier=scope.project).exists():
        raise NotFound(f"no project {scope.project}")
    domains = list(settings.CAUSEWAY_DOMAINS)
    if scope.domain and scope.domain not in domains:
        raise NotFound(f"no domain {scope.domain}: there are {', '.join(domains)}")
    if scope.user and not get_user_model().objects.filter(username=scope.user).exists():
        raise NotFound(f"no user {scope.user}")
    if scope.launch_plan:
        plans = NamedEntity.objects.filter(
            resource_type=ResourceType.LAUNCH_PLAN, project=scope.project, domain=scope.domain, name=scope.launch_plan
        )
        if not plans.exists():
            raise NotFound(f"no launch plan {scope.project}/{scope.domain}/{scope.launch_plan}")
    if resource == WEIGHT and scope.kind != QuotaScope.PROJECT:
        raise InvalidArgument("a weight is of a project: turns are between projects")
    if resource == PREEMPTION and scope.kind not in (QuotaScope.PROJECT, QuotaScope.DOMAIN):
        raise InvalidArgument("a project takes part in preemption, or a domain of it: nothing else does")


def _takes_from_others() -> PermissionDenied:
    return PermissionDenied("what is guaranteed or lent takes from others: an administrator of everything sets it")


def _check_rights(row: Quota, given: Mapping[str, Any], by: Setter, *, made: bool) -> None:
    """An administrator of a project may lower what it has, and lift again only what he set himself."""
    if by.platform:
        return
    if row.scope in (QuotaScope.EVERYTHING, QuotaScope.USER) or row.resource == WEIGHT:
        raise PermissionDenied(
            f"a quota of {row.resource} of {row.subject} is for administrators of everything: those of a project set "
            "limits inside it"
        )
    if given["guaranteed"] != (0.0 if made else row.guaranteed):
        raise _takes_from_others()
    if made or not row.by_platform:
        return
    same = row.valid_from == given["valid_from"] and row.valid_until == given["valid_until"]
    if given["limit"] > row.limit or not same:
        raise PermissionDenied(
            f"the quota {row} was set to {words(row.resource, row.limit)} by an administrator of everything: an "
            "administrator of the project may lower it, or set one of a domain or launch plan below it"
        )


def _lender(row: Quota, name: str | int, by: Setter) -> Quota:
    """Another quota of that kind and resource, by what it is called: `b` or `project b`.

    Who does not administer everything keeps the one that there is, which doors give by its number: what is answered to
    names would tell him whose quotas there are.
    """
    if not by.platform and name != row.borrows_from_id:
        raise _takes_from_others()
    others = Quota.objects.filter(scope=row.scope, resource=row.resource, window=row.window)
    for one in others:
        if name in (one.pk, one.subject, one.project if one.scope == QuotaScope.PROJECT else one.subject):
            if one.pk == row.pk or one.subject == row.subject:
                raise InvalidArgument(f"{row.subject} cannot borrow from itself")
            return one
    raise InvalidArgument(f"there is no quota of {row.resource} of {name!r} to borrow from: set that first")


def _check(row: Quota) -> None:
    if not 1 <= row.warn_at <= 100:
        raise InvalidArgument(f"the warning level is 1 to 100 percent of the limit, not {row.warn_at}")
    if row.valid_from and row.valid_until and row.valid_until <= row.valid_from:
        raise InvalidArgument("a quota cannot end before it begins")
    unshared = {*SETTINGS, *HOURS, "launches"}
    if row.resource in unshared and (row.guaranteed or row.borrows_from_id):
        raise InvalidArgument(f"{row.resource} cannot be guaranteed or borrowed")
    if row.guaranteed > row.limit:
        raise InvalidArgument(
            f"the guaranteed share, {words(row.resource, row.guaranteed)}, is above the limit, "
            f"{words(row.resource, row.limit)}"
        )
    if row.guaranteed and row.scope == EVERYTHING:
        raise InvalidArgument("everything has nobody whom a share could be guaranteed against")
    lenders: dict[int, int | None] = dict(Quota.objects.exclude(borrows_from=None).values_list("pk", "borrows_from_id"))
    lenders[row.pk or 0] = row.borrows_from_id
    if way := circle(lenders, row.pk or 0):
        called = dict(Quota.objects.filter(pk__in=way).in_bulk().items())
        shown = " from ".join(called[one].subject if one in called else row.subject for one in way)
        raise InvalidArgument(f"borrowing in a circle: {shown}")
    _check_promises(row)


def _check_promises(row: Quota) -> None:
    """What is guaranteed inside a wider limit has to be there."""
    rows = [one for one in Quota.objects.filter(resource=row.resource) if one.pk != row.pk] + [row]
    for wider in rows:
        inside = [one for one in rows if one.guaranteed and scope_of_row(wider).contains(scope_of_row(one))]
        scopes = [scope_of_row(one) for one in inside]
        widest = [one for one in inside if not any(scope.contains(scope_of_row(one)) for scope in scopes)]
        promised = sum(one.guaranteed for one in widest)
        if promised > wider.limit + 1e-9 and (wider is row or row in widest):
            raise InvalidArgument(
                f"{words(row.resource, promised)} {row.resource} would be guaranteed of the "
                f"{words(row.resource, wider.limit)} of {wider.subject}: to {', '.join(one.subject for one in widest)}"
            )


def _shown(row: Quota) -> dict[str, object]:
    """For the trail, which those of the project read: a lender by its number, for he may be none of theirs."""
    return {
        "limit": row.limit,
        "warn_at": row.warn_at,
        "guaranteed": row.guaranteed,
        "borrows_from": f"quota {row.borrows_from_id}" if row.borrows_from_id else "",
        "window": row.window,
        "valid_from": row.valid_from.isoformat() if row.valid_from else "",
        "valid_until": row.valid_until.isoformat() if row.valid_until else "",
    }


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """For the trail: what is other than before, of a new one what is said at all. What was taken away is `none`."""
    return {name: "none" if one == "" else one for name, one in after.items() if one != before.get(name, "")}


def _alone() -> None:
    """Two who set quotas at once see each other's: circles and promises are about all of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", list(ADMITTING))


def _wake() -> None:
    """What waited may start now."""
    for executor, cluster in ExecutorInstance.objects.values_list("executor", "cluster").distinct():
        wake_executor(executor, cluster)
    wake_admission()


def kinds() -> dict[str, tuple[str, ...]]:
    """Names for forms."""
    return {"executions": tuple(sorted(OF_EXECUTIONS)), "hours": tuple(HOURS), "models": (MODEL,), "base": (CPU, GPU)}
