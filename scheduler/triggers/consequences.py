"""What triggers do about happenings: they launch for aliases that moved, and for versions whose checks pass."""

from __future__ import annotations

from artifacts.happenings import ALIAS_MOVED, CHECK_FAILED, CHECK_PASSED, CHECK_WITHDRAWN, FALLEN_BACK, follow
from artifacts.models import Happening
from scheduler.triggers.evaluate import evaluate_move, evaluate_version, release_held


@follow(ALIAS_MOVED)
@follow(FALLEN_BACK)
def launch_on_alias(happening: Happening) -> None:
    evaluate_move(happening)


@follow(CHECK_PASSED)
@follow(CHECK_FAILED)
@follow(CHECK_WITHDRAWN)
def look_again(happening: Happening) -> None:
    """Whoever reports holds the version's lock, which an evaluation passes by: it may be due now."""
    if happening.version_id is not None:
        evaluate_version(happening.version_id)
        release_held(happening.version_id)
