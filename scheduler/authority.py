"""Who may do what, asked from below the doors: of the principal on whose behalf something is registered, launched,
resolved or published, for whatever it refers to outside its own place.

Doors ask for the objects that they are called with; what those refer to is asked here, with the same roles: the
console, which keeps them, installs its answer when Django starts, in every process. A principal is known by name,
so that a worker that goes on with an execution hours later asks for the roles of that hour.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial

from artifacts.exceptions import PermissionDenied
from scheduler.asked_once import once

Place = tuple[str, str]  # project, domain


class Action(enum.Enum):
    """What somebody wants to do in a project's domain; the value is how people are told of it."""

    READ = "read"
    PUBLISH = "publish"  # publish versions, upload their data
    LAUNCH = "launch"  # launch, relaunch, recover, abort and archive executions, set signals
    REGISTER = "register"  # tasks, workflows, launch plans, their code
    DECIDE = "decide"  # approve or reject a gate, move an alias
    ACTIVATE = "activate"  # activate and deactivate launch plans
    ADMIN = "admin"  # projects, role bindings
    WATCH = "watch"  # read the operators' figures: counts of the whole installation, nothing of a project


Rights = Callable[[Action, str, str], bool]  # action, project, domain
SYSTEM = "system:"  # begins the names that the control plane gives itself; no account can have such a name
_rights_of: Callable[[str], Rights] | None = None
_project_of: Callable[[str], str] | None = None
_holders_of: Callable[[Action, str, str], frozenset[str]] | None = None


def install(
    rights_of: Callable[[str], Rights],
    project_of: Callable[[str], str],
    holders_of: Callable[[Action, str, str], frozenset[str]],
) -> None:
    """`rights_of(name)` tells what the account of that name may do now: nothing, if there is none or it is inactive.

    `project_of(name)`: the one project that whoever calls now by that name came with a token for; empty: any.

    `holders_of(action, project, domain)`: the active people who may do it there; of no domain: in some domain of it.
    """
    global _rights_of, _project_of, _holders_of
    _rights_of, _project_of, _holders_of = rights_of, project_of, holders_of


def holders_of(action: Action, project: str, domain: str = "") -> frozenset[str]:
    """The active people who may do it there; without a domain: in some domain of the project."""
    return _holders_of(action, project, domain) if _holders_of is not None else frozenset()


_called_by_task: ContextVar[bool] = ContextVar("called_by_task", default=False)


def call_by_task(called: bool) -> None:
    """Said by the doors of each call: whether it came with the token of a running task."""
    _called_by_task.set(called)


def is_called_by_task() -> bool:
    return _called_by_task.get()


def project_of_call(principal: str) -> str:
    """The one project that what this call begins may act in, when it goes on after the call; empty: any.

    A token that is good for one project leads to no other, neither at once nor by what is launched or activated by it.
    """
    return _project_of(principal) if _project_of is not None else ""


@dataclass(frozen=True)
class Authority:
    """What a principal may do, asked of the accounts when it is first needed, once.

    At `home`, where a door has asked already whether the principal may register or launch, everything there is may be
    read without asking again: what stays in its own place costs no query. Without a home everything is asked for.

    The control plane's own principals (`system:...`), and the empty one of executions from before principals were
    kept, may everything.

    With a `project` the principal may nothing in any other: by a token for that project it was launched or activated.
    """

    principal: str
    home: Place | None = None
    project: str = ""

    @cached_property
    def _rights(self) -> Rights:
        if self.is_internal:
            return lambda action, project, domain: True
        if _rights_of is None:
            raise RuntimeError("nobody told scheduler.authority who may do what: see install")
        return once(("rights", self.principal), partial(_rights_of, self.principal))

    @property
    def is_internal(self) -> bool:
        return not self.principal or self.principal.startswith(SYSTEM)

    def may(self, action: Action, project: str, domain: str) -> bool:
        return self.project in ("", project) and self._rights(action, project, domain)

    def reads(self, project: str, domain: str) -> bool:
        """Whether the principal may read there, and so refer to what is there."""
        return (project, domain) == self.home or self.may(Action.READ, project, domain)

    def require(self, action: Action, places: Iterable[Place], *, what: str) -> None:
        """PermissionDenied for the first of the places where the principal may not do it.

        Only for places that whoever is told knows of already: nothing is said of what exists there. `what` ends the
        sentence: `, where output 'x' is published`.
        """
        for project, domain in places:
            allowed = self.reads(project, domain) if action is Action.READ else self.may(action, project, domain)
            if not allowed:
                raise PermissionDenied(f"{self.principal} may not {action.value} in {project}/{domain}{what}")
