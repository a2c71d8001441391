"""What follows from a happening: done after its commit, in one transaction that also notes it as handled.

What broke, or asked for another time, is left over: it alone is done again then. After TRIES it is given up, and stays
to be seen in `undone` and in the happening's detail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.happenings import KINDS, Consequence
from artifacts.models import Happening
from scheduler.wake import commit_with_the_next

logger = logging.getLogger(__name__)

TRIES = 6  # of what breaks, the first among them
_PAUSES = (10, 60, 600, 3600, 6 * 3600)  # seconds before the next of them


def handle(happening_id: int) -> bool:
    """Do what follows from the happening, once, whoever calls. False: it is done, being done, or not yet due again.

    A consequence that breaks is undone alone, logged, noted in the happening's detail, tried again: the others go on.
    """
    try:
        return _handle(happening_id, _together)
    except OperationalError:  # the database's own trouble is everybody's: all is tried again
        raise
    except Exception:  # noqa: BLE001 - nothing of it is done: once more, to tell which breaks
        return _handle(happening_id, _apart)


# Of its version what follows compares and names; what a launch needs of it, it reads itself.
_HEAVY = ("version__card", "version__terms", "version__literal", "version__literal_type")


def _handle(happening_id: int, run: Callable[[Consequence, Happening], _Outcome]) -> bool:
    now = timezone.now()
    with transaction.atomic():
        rows = Happening.objects.filter(Q(handled_at__isnull=True) | Q(retry_at__lte=now), pk=happening_id)
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        happening = rows.select_related("artifact", "version").defer(*_HEAVY).first()
        if happening is None:
            return False
        version, artifact = happening.version, happening.artifact
        if version is not None and artifact is not None and version.artifact_id == artifact.pk:
            version.artifact = artifact
        kind = KINDS.get(happening.kind)
        again = happening.handled_at is not None
        due = [one for one in (kind.consequences if kind else ()) if not again or one.__name__ in happening.undone]
        outcomes = {one.__name__: run(one, happening) for one in due}
        _note(happening, outcomes, now)
        commit_with_the_next()
    return True


@dataclass(frozen=True)
class _Outcome:
    """`again`: when it asked to be done again; `broke`: why it could not be done."""

    again: datetime | None = None
    broke: str = ""


def _together(consequence: Consequence, happening: Happening) -> _Outcome:
    """What became of it, in one transaction with the others: where nothing breaks, no savepoint is needed."""
    return _Outcome(again=consequence(happening))


def _apart(consequence: Consequence, happening: Happening) -> _Outcome:
    """What became of it, undone alone where it breaks."""
    try:
        with transaction.atomic():
            return _Outcome(again=consequence(happening))
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("%s of happening %s (%s) broke", consequence.__name__, happening.pk, happening)
        return _Outcome(broke=str(error) or type(error).__name__)


def _note(happening: Happening, outcomes: dict[str, _Outcome], now: datetime) -> None:
    broken = [f"{name}: {outcome.broke}" for name, outcome in outcomes.items() if outcome.broke]
    tries = happening.tries + bool(broken)
    times = [outcome.again for outcome in outcomes.values() if outcome.again is not None]
    if broken and tries < TRIES:
        times.append(now + timedelta(seconds=_PAUSES[tries - 1]))
    detail = {key: value for key, value in happening.detail.items() if key != "broken"}
    Happening.objects.filter(pk=happening.pk).update(
        handled_at=happening.handled_at or timezone.now(),
        detail={**detail, "broken": broken} if broken else detail,
        undone=[name for name, outcome in outcomes.items() if outcome.broke or outcome.again is not None],
        retry_at=min(times, default=None),
        tries=tries,
    )


def unhandled(*, limit: int) -> list[int]:
    """Happenings that a lost wake-up or a killed worker left, and those of which something is due again."""
    rows = Happening.objects.order_by("pk").values_list("pk", flat=True)
    new = list(rows.filter(handled_at__isnull=True)[:limit])
    return [*new, *rows.filter(retry_at__lte=timezone.now(), handled_at__isnull=False)[: limit - len(new)]]
