"""Who may do what: every door asks here, nobody else compares roles.

A role binding holds for a project, for one of its domains, or everywhere; each role includes those before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, prefetch_related_objects

from artifacts.exceptions import NotFound, PermissionDenied, Unauthenticated
from artifacts.prepared import prepared
from artifacts.shadows import call_by_shadow
from console.accounts import scopes, throttle, tokens
from console.accounts.models import Role, RoleBinding, User
from scheduler import task_tokens
from scheduler.authority import Action as Action  # doors ask for it here
from scheduler.authority import Authority, Rights, call_by_task
from scheduler.models import Execution

AnyUser = User | AnonymousUser


_RANK = {Role.VIEWER: 0, Role.CONTRIBUTOR: 1, Role.APPROVER: 2, Role.ADMIN: 3}
_LEAST_ROLE = {
    Action.READ: Role.VIEWER,
    Action.PUBLISH: Role.CONTRIBUTOR,
    Action.LAUNCH: Role.CONTRIBUTOR,
    Action.REGISTER: Role.CONTRIBUTOR,
    Action.DECIDE: Role.APPROVER,
    Action.ACTIVATE: Role.APPROVER,
    Action.ADMIN: Role.ADMIN,
    Action.WATCH: Role.ADMIN,
}


_SHOWS = {Role.CONTRIBUTOR: Action.LAUNCH, Role.VIEWER: Action.READ}  # who may this has at least that role


def authenticate_token(secret: str, *, address: str = "") -> User:
    """The user of an API token. Raises Unauthenticated for an unknown, expired or revoked one, or an inactive user,
    and TooManyAttempts where too many wrong ones came from the address. A right one is never kept out.
    """
    try:
        return _owner(secret)
    except Unauthenticated:
        if address:
            throttle.count(throttle.TOKEN, address)
        raise


def _owner(secret: str) -> User:
    if secret.startswith(task_tokens.PREFIX):
        return _task(task_tokens.execution_of(secret))
    return tokens.authenticate(secret)


def _task(execution: Execution) -> User:
    """A running task: by the name of who launched it, it may do what a contributor to its project and domain may, or
    less, when who launched it may no more than that by now.

    No row stands for it, so it has no id that anything could be kept under.
    """
    call_by_task(True)
    call_by_shadow(execution.shadow_id)
    user = User(pk=0, username=execution.principal[:150])
    where = (execution.project, execution.domain)
    launcher_may = Authority(execution.principal).may
    allowed = [role for role in (Role.CONTRIBUTOR, Role.VIEWER) if launcher_may(_SHOWS[role], *where)][:1]
    bindings = [RoleBinding(project=where[0], domain=where[1], role=role) for role in allowed]
    user._prefetched_objects_cache = {"role_bindings": bindings}  # type: ignore[attr-defined]
    launcher = account(execution.principal) if execution.principal_project else None
    if launcher is not None:  # what it refers to is asked of him as the token let him be by which he launched it
        scopes.narrow(launcher, scopes.Grant(token=0, project=execution.principal_project))
    return user


def rights_of(name: str) -> Rights:
    """What the account of that name may do now: the answer to scheduler.authority, for what references lead to."""
    user = scopes.caller_named(name) or account(name)
    return lambda action, project, domain: user is not None and can(user, action, project, domain)


def holders_of(action: Action, project: str, domain: str) -> frozenset[str]:
    """The active people who may do it there; without a domain: in some domain of the project. Superusers among them,
    accounts of programs not.
    """
    least = [role for role in Role if _RANK[role] >= _RANK[_LEAST_ROLE[action]]]
    bound = Q(role_bindings__role__in=least, role_bindings__project__in=("", project))
    if domain:
        bound &= Q(role_bindings__domain__in=("", domain))
    rows = User.objects.filter(Q(is_superuser=True) | bound, is_active=True, service_of="")
    return frozenset(rows.distinct().values_list("username", flat=True))


# Written out: every triggered launch asks this, and building the query takes longer than answering it.
_ACCOUNT = f"""
    SELECT account.id, account.is_superuser, account.is_active, binding.project, binding.domain, binding.role
    FROM {User._meta.db_table} AS account
    LEFT JOIN {RoleBinding._meta.db_table} AS binding ON binding.user_id = account.id
    WHERE account.username = %s::text
"""  # noqa: S608 - names of tables


def account(name: str) -> User | None:
    """The account of that name, active or not, with its roles, by one query."""
    with prepared() as cursor:
        cursor.execute(_ACCOUNT, [name])
        rows = cursor.fetchall()
    if not rows:
        return None
    user = User(pk=rows[0][0], username=name, is_superuser=rows[0][1], is_active=rows[0][2])
    bindings = [RoleBinding(project=project, domain=domain, role=role) for *_, project, domain, role in rows if role]
    user._prefetched_objects_cache = {"role_bindings": bindings}  # type: ignore[attr-defined]
    return user


def local_admin() -> User:
    """The oldest active superuser; made (without a password) when there is none, for the first start on loopback."""
    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("id").first()
    if admin is not None:
        return admin
    name = "admin" if not User.objects.filter(username="admin").exists() else "local-admin"
    user, created = User.objects.get_or_create(username=name, defaults={"is_superuser": True, "is_staff": True})
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


@dataclass(frozen=True)
class Scope:
    """What somebody wanted to do, and where."""

    action: Action
    project: str
    domain: str


class Refused(PermissionDenied):
    """Somebody may not do it."""

    def __init__(self, message: str, scope: Scope) -> None:
        super().__init__(message)
        self.scope = scope


class Hidden(NotFound):
    """Somebody may not do it, and is not told whether it exists."""

    def __init__(self, message: str, scope: Scope) -> None:
        super().__init__(message)
        self.scope = scope


def require(user: AnyUser, action: Action, project: str = "", domain: str = "") -> None:
    """Raises PermissionDenied unless the user may do this there. No project: platform-wide; no domain: in all of them.

    Raises Unauthenticated for nobody.
    """
    if not user.is_authenticated:
        raise Unauthenticated("log in, or send a token: Authorization: Bearer <token>")
    if not scopes.allows(user, action):
        raise Refused(
            f"this token may not {action.value}: its scopes are {_scopes_of(user)}", Scope(action, project, domain)
        )
    if not can(user, action, project, domain):
        where = "/".join(part for part in (project, domain) if part) or "the whole platform"
        needed = role_for(action)
        message = f"{user.get_username()} may not {action.value} in {where}: that needs the role {needed}"
        raise Refused(message, Scope(action, project, domain))


def _scopes_of(user: AnyUser) -> str:
    grant = scopes.grant_of(user)
    return ", ".join(grant.scopes) if grant else ""


def role_for(action: Action) -> str:
    """The least role that allows it, as people call it."""
    return _LEAST_ROLE[action].label.lower()


def require_found(user: AnyUser, action: Action, project: str, domain: str, *, what: str) -> None:
    """As `require`, but NotFound("no <what>") where the user cannot even read: existence is not told to strangers."""
    if not user.is_authenticated:
        raise Unauthenticated("log in, or send a token: Authorization: Bearer <token>")
    if not can(user, Action.READ, project, domain):
        raise Hidden(f"no {what}", Scope(action, project, domain))
    require(user, action, project, domain)


def can(user: AnyUser, action: Action, project: str = "", domain: str = "") -> bool:
    if not user.is_active or isinstance(user, AnonymousUser) or not scopes.allows(user, action):
        return False
    if user.is_superuser:
        return True
    return any(
        binding.project in ("", project) and binding.domain in ("", domain) for binding in _allowing(user, action)
    )


def reader(user: AnyUser) -> Callable[[str, str], bool]:
    """Whether the user may read a project and domain, for whoever asks for each of thousands of rows."""
    return functools.cache(lambda project, domain: can(user, Action.READ, project, domain))


def may_read(user: AnyUser) -> Callable[[str, str], bool]:
    """For look-ups that reach into projects only they know of: tells whether the user may read there."""
    return lambda project, domain: can(user, Action.READ, project, domain)


def known_projects(user: AnyUser, *, action: Action = Action.READ) -> list[str] | None:
    """The projects of which the user may read some domain (or do `action` there); None: all. For lists of projects;
    rows need `readable`.
    """
    bindings = list(_allowing(user, action))
    if _everywhere(user, bindings) or any(not binding.project for binding in bindings):
        return None
    return sorted({binding.project for binding in bindings})


def readable(user: AnyUser, *, project: str = "project", domain: str = "domain", action: Action = Action.READ) -> Q:
    """A filter that keeps the rows the user may read (or do `action` to), whatever the binding's width.

    `project` and `domain` name the columns, e.g. `artifact__project`.
    """
    bindings = list(_allowing(user, action))
    if _everywhere(user, bindings):
        return Q()
    keep = Q(pk__in=[])
    for binding in bindings:
        scope = Q(**{project: binding.project}) if binding.project else Q()
        keep |= scope & Q(**{domain: binding.domain}) if binding.domain else scope
    return keep


def _everywhere(user: AnyUser, bindings: Iterable[RoleBinding]) -> bool:
    if user.is_active and user.is_superuser:
        return True
    return any(not binding.project and not binding.domain for binding in bindings)


def _allowing(user: AnyUser, action: Action) -> list[RoleBinding]:
    """The bindings that allow the action somewhere; read once a user object, so once a request."""
    if not isinstance(user, User) or not user.is_active or user.is_superuser:
        return []
    if not scopes.allows(user, action):
        return []
    prefetch_related_objects([user], "role_bindings")
    least = _RANK[_LEAST_ROLE[action]]
    return [binding for binding in user.role_bindings.all() if _RANK[Role(binding.role)] >= least]
