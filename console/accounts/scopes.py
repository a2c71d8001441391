"""What an API token is good for, where it is not good for everything its user may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from artifacts.exceptions import InvalidArgument
from artifacts.shadows import call_by_shadow
from console.accounts.models import Role, RoleBinding, User
from scheduler.authority import Action, call_by_task

# Every scope includes reading: nothing can be done to what cannot be seen. But for that of who only collects figures.
SCOPES: dict[str, frozenset[Action]] = {
    "read": frozenset({Action.READ}),
    "publish": frozenset({Action.READ, Action.PUBLISH}),
    "launch": frozenset({Action.READ, Action.LAUNCH}),
    "register": frozenset({Action.READ, Action.REGISTER}),
    "approve": frozenset({Action.READ, Action.DECIDE, Action.ACTIVATE}),
    "admin": frozenset({Action.READ, Action.ADMIN, Action.WATCH}),
    "metrics": frozenset({Action.WATCH}),
}


@dataclass(frozen=True)
class Grant:
    """The token somebody came with. No scopes: all of them; no project: all of them."""

    token: int
    scopes: tuple[str, ...] = ()
    project: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.scopes and not self.project

    def allows(self, action: Action) -> bool:
        return not self.scopes or any(action in SCOPES.get(scope, ()) for scope in self.scopes)


def grant_of(user: object) -> Grant | None:
    """The token that the user came with; None for a session, a task and a command."""
    grant = getattr(user, "grant", None)
    return grant if isinstance(grant, Grant) else None


def allows(user: object, action: Action) -> bool:
    grant = grant_of(user)
    return grant is None or grant.allows(action)


# Who called with a token of less than everything, for as long as the call is answered: what the call refers to by the
# name of its principal alone (scheduler.authority) is then asked of him as the token lets him be.
_caller: ContextVar[User | None] = ContextVar("caller", default=None)


def forget_caller(**_: object) -> None:
    """At the beginning of every call: threads answer one after the other."""
    _caller.set(None)
    call_by_task(False)
    call_by_shadow(None)


def caller_named(name: str) -> User | None:
    user = _caller.get()
    return user if user is not None and user.get_username() == name else None


def project_of_caller(name: str) -> str:
    """The one project that the caller of that name came with a token for; empty: any, or it is not who calls."""
    user = caller_named(name)
    grant = grant_of(user) if user is not None else None
    return grant.project if grant is not None else ""


def narrow(user: User, grant: Grant) -> None:
    """Make of the user, for as long as this object lives, one who may do no more than the token."""
    user.grant = grant  # type: ignore[attr-defined]
    if grant.is_whole:
        return
    _caller.set(user)
    if user.is_superuser:
        bindings = [RoleBinding(project=grant.project, role=Role.ADMIN)]
    else:
        bindings = [
            RoleBinding(project=binding.project or grant.project, domain=binding.domain, role=binding.role)
            for binding in user.role_bindings.all()
            if grant.project in ("", binding.project) or not binding.project
        ]
    user._prefetched_objects_cache = {"role_bindings": bindings}  # type: ignore[attr-defined]
    user.is_superuser = user.is_staff = False


def checked(scopes: Sequence[str], project: str, *, within: Grant | None) -> tuple[list[str], str]:
    """The scopes and project of a new token, made by who came with `within`.

    What is left out is what the maker has. Raises InvalidArgument for an unknown scope and for more than the maker has.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise InvalidArgument(f"no scope {unknown[0]}; there are: {', '.join(SCOPES)}")
    if within is None:
        return in_order(scopes), project
    if within.scopes and not set(scopes) <= set(within.scopes):
        more = sorted(set(scopes) - set(within.scopes))
        raise InvalidArgument(f"the token this one is made with does not have the scope {more[0]} itself")
    if within.project and project not in ("", within.project):
        raise InvalidArgument(f"the token this one is made with is for the project {within.project} only")
    return in_order(scopes or within.scopes), project or within.project


def in_order(scopes: Iterable[str]) -> list[str]:
    return [scope for scope in SCOPES if scope in set(scopes)]
