"""What triggers do about happenings: they launch for those of their kind, and for versions whose checks pass."""

from __future__ import annotations

from artifacts.happenings import CHECK_FAILED, CHECK_PASSED, CHECK_WITHDRAWN, follow
from artifacts.models import Happening
from scheduler.triggers.evaluate import evaluate_happening, look_again_at
from scheduler.triggers.kinds import KINDS


def launch_on_alias(happening: Happening) -> None:
    """Called so in what is left undone of happenings (scheduler.happenings), whatever kind of triggers it is for."""
    evaluate_happening(happening)


for _kind in KINDS.values():
    for _happening in _kind.follows:
        follow(_happening)(launch_on_alias)


@follow(CHECK_PASSED)
@follow(CHECK_FAILED)
@follow(CHECK_WITHDRAWN)
def look_again(happening: Happening) -> None:
    """Whoever reports holds the version's lock, which an evaluation passes by: it may be due now."""
    if happening.version_id is not None:
        look_again_at(happening.version_id)
