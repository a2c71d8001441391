"""Who may come to a decision at all: asked by every door before it hands one on. Who has a seat the action asks."""

from __future__ import annotations

from django.utils import timezone

from artifacts.exceptions import NotFound, PermissionDenied
from console.accounts import access, scopes
from console.accounts.access import Action
from console.accounts.models import User
from scheduler.approving.reading import chain_of, is_decision, rule_for, seats_of, standing_votes
from scheduler.approving.rules import seat_for
from scheduler.models import Delegation, Gate
from scheduler.subjects import subjects_of


def require_word(user: User, project: str, domain: str, *, governed: bool) -> None:
    """Before a word of the user's counts: PermissionDenied for a token that is not good for deciding; for programs
    (running tasks, service accounts) where it is `governed` by a rule or policy, which asks people and says which; and
    where it is not, for who is no approver there.
    """
    if not governed or not scopes.allows(user, Action.DECIDE):
        access.require(user, Action.DECIDE, project, domain)
    elif not user.pk or user.service_of:
        raise PermissionDenied(f"{user.get_username()} calls as a program: this is decided by people")


def require_decider(user: User, gate: Gate) -> None:
    """PermissionDenied for who may not decide about gates there, where no rule says who may; where one does, it is
    enough to read, if the token is good for deciding. To be called with a gate that the user was given to read.
    """
    governed = is_decision(gate) and not rule_for(gate).is_default
    require_word(user, gate.execution.project, gate.execution.domain, governed=governed)


def may_decide(user: User, gate: Gate) -> bool:
    """Whether the user could decide about the gate now: pages show the form to nobody else."""
    rule = rule_for(gate)
    place = gate.execution.project, gate.execution.domain
    if rule.is_default:
        return access.can(user, Action.DECIDE, *place)
    subject = subjects_of([gate]).get(gate.pk)
    seats = seats_of(gate, rule, published_by=[subject.created_by] if subject is not None else [])
    name = user.get_username()
    voted = any(vote.actor == name for vote in standing_votes(gate))
    chain = chain_of(name, place[0], at=timezone.now())
    return scopes.allows(user, Action.DECIDE) and not voted and bool(seat_for(name, chain, seats, rule))


def require_delegator(user: User, *, giver: str, project: str) -> None:
    """PermissionDenied unless the user gives away his own decisions, or administers the project (all: of no project).

    A token has to be good for deciding, or for administering; a running task gives nothing away. NotFound for a project
    that the user may not read.
    """
    known = access.known_projects(user)
    if project and known is not None and project not in known:
        raise NotFound(f"no project {project}")
    own = giver == user.get_username() and user.pk and scopes.allows(user, Action.DECIDE)
    if not own and not access.can(user, Action.ADMIN, project):
        raise PermissionDenied(
            f"{user.get_username()} may not delegate what {giver} decides: only {giver} and an admin of "
            + (f"the project {project} may" if project else "the whole platform may")
        )


def may_revoke(user: User, row: Delegation) -> bool:
    own = user.get_username() in (row.giver, row.to) and bool(user.pk) and scopes.allows(user, Action.DECIDE)
    return own or access.can(user, Action.ADMIN, row.project)
