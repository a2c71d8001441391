"""On whose authority triggers and schedules launch: of whoever activated their launch plan last.

That is asked at every launch. When he lost the role, or his account was closed, nothing is launched: what would have
been is recorded with the reason, until somebody who may activates the launch plan again.

Triggers and schedules that were active before it was kept who activated them launch as the control plane itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from artifacts.exceptions import PermissionDenied
from scheduler.authority import Action, Authority, Place

TRIGGER = "system:trigger"
SCHEDULE = "system:schedule"


class NoAuthority(PermissionDenied):
    """Who activated the launch plan may no longer do what its trigger or schedule does."""


def vouched(activated_by: str, *, place: Place, sources: Iterable[Place] = (), otherwise: str) -> Authority:
    """The authority to launch in `place` what artifacts of `sources` set off; NoAuthority says what is lacking.

    `otherwise`: the principal when it is not known who activated it.
    """
    authority = Authority(activated_by or otherwise)
    again = "somebody who may has to activate the launch plan again"
    if not authority.may(Action.LAUNCH, *place):
        raise NoAuthority(f"{activated_by}, who activated it, may no longer launch in {'/'.join(place)}: {again}")
    for source in sorted(set(sources)):
        if not authority.reads(*source):
            raise NoAuthority(f"{activated_by}, who activated it, may no longer read in {'/'.join(source)}: {again}")
    return authority


def problem(activated_by: str, *, place: Place, sources: Iterable[Place] = ()) -> str:
    """Why it would not launch now; empty when it would."""
    try:
        vouched(activated_by, place=place, sources=sources, otherwise=TRIGGER)
    except NoAuthority as error:
        return error.message
    return ""
