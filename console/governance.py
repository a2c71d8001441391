"""What doors share about governed aliases: with which roles a user moves one."""

from __future__ import annotations

from artifacts.governance.pointers import Mover
from artifacts.models import Artifact
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User

_ROLES = {"approver": Action.DECIDE, "admin": Action.ADMIN}  # as artifacts.governance.policies.ROLES names them


def mover_of(user: User, artifact: Artifact, *, force: bool = False) -> Mover:
    """The user, with the roles that he holds where the artifact lies, as far as his token lets him use them."""
    place = (artifact.project, artifact.domain)
    roles = tuple(role for role, action in _ROLES.items() if access.can(user, action, *place))
    return Mover(user.username, roles=roles, force=force)
