"""Who may promote, and decide about promotions: asked by every door."""

from __future__ import annotations

from artifacts.governance.pointers import Mover
from artifacts.models import Artifact
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.accounts.roles import check_scope
from console.deciding import require_word
from console.governance import mover_of
from scheduler.approving.reading import promotion_rule
from scheduler.models import Promotion


def require_promoter(user: User, project: str, domain: str, name: str) -> None:
    """Who may publish there may ask for a promotion that a rule governs; without one it takes the right to decide.

    NotFound for a place that the user may not read, InvalidArgument for one that there is not.
    """
    governed = not promotion_rule(project, domain, name).is_default
    what = f"project {project} with domain {domain}"
    access.require_found(user, Action.PUBLISH if governed else Action.DECIDE, project, domain, what=what)
    check_scope(project, domain)


def mover_there(user: User, project: str, domain: str) -> Mover:
    """The user as somebody who moves aliases there, with the roles that he holds."""
    return mover_of(user, Artifact(project=project, domain=domain))


def require_voter(user: User, promotion: Promotion) -> None:
    """A token has to be good for deciding; whether the user has a seat is asked by the action."""
    governed = not promotion_rule(promotion.project, promotion.domain, promotion.name).is_default
    require_word(user, promotion.project, promotion.domain, governed=governed)
