"""On whose authority triggers and schedules launch: of whoever activated their launch plan last.

That is asked at every launch. When he lost the role, or his account was closed, nothing is launched: what would have
been is recorded with the reason, until somebody who may activates the launch plan again.

Triggers and schedules that were active before it was kept who activated them launch as the control plane itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from artifacts.exceptions import PermissionDenied
from scheduler.authority import Action, Authority, Place
from scheduler.models.schedule import Schedule
from scheduler.models.trigger import Trigger

TRIGGER = "system:trigger"
SCHEDULE = "system:schedule"


class NoAuthority(PermissionDenied):
    """Who activated the launch plan may no longer do what its trigger or schedule does."""


def vouching(row: Trigger | Schedule, *, otherwise: str = "") -> Authority:
    """Of whoever activated it, and by the token he came with. `otherwise`: the principal when that is not known."""
    return Authority(row.activated_by or otherwise, project=row.activated_project)


def vouched(row: Trigger | Schedule, *, place: Place, sources: Iterable[Place] = (), otherwise: str) -> Authority:
    """The authority to launch in `place` what artifacts of `sources` set off; NoAuthority says what is lacking.

    `otherwise`: the principal when it is not known who activated it.
    """
    authority = vouching(row, otherwise=otherwise)
    if lacking := lacks(authority, place=place, sources=sources):
        raise NoAuthority(lacking)
    return authority


def lacks(authority: Authority, *, place: Place, sources: Iterable[Place] = ()) -> str:
    """What the one who activated it may no longer; empty when he may all that is needed."""
    needed = [(Action.LAUNCH, place), *((Action.READ, source) for source in sorted(set(sources)))]
    for action, where in needed:
        if not authority.may(action, *where):
            return (
                f"{authority.principal}, who activated it, may no longer {action.value} in {'/'.join(where)}: "
                "somebody who may has to activate the launch plan again"
            )
    return ""
