"""Who may erase, and what of it is told: asked by every door."""

from __future__ import annotations

from artifacts.exceptions import PermissionDenied
from artifacts.models import ArtifactVersion
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from scheduler.actions.erasure import ErasurePlan


def known_of(plan: ErasurePlan, user: User) -> list[tuple[ArtifactVersion, int]]:
    """What was made of the version where the user may read, with the steps between; the rest is counted at most."""
    may_read = access.reader(user)
    return [(one, steps) for one, steps in plan.derived if may_read(*one.artifact.key[:2])]


def require_eraser(user: User, plan: ErasurePlan) -> None:
    """PermissionDenied unless the user administers every place of which something would go."""
    may_read = access.reader(user)
    if hidden := sum(not may_read(*one.artifact.key[:2]) for one in plan.goes):
        where = f"lies where {user.get_username()} may not read"
        raise PermissionDenied(f"{hidden} of what would go {where}: who administers all of it erases it")
    for place in sorted({one.artifact.key[:2] for one in plan.goes}):
        access.require(user, Action.ADMIN, *place)
