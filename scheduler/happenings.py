"""What follows from a happening: done after its commit, in one transaction that also notes it as handled."""

from __future__ import annotations

import logging

from django.db import OperationalError, transaction
from django.utils import timezone

from artifacts.happenings import KINDS, Consequence
from artifacts.models import Happening

logger = logging.getLogger(__name__)


def handle(happening_id: int) -> bool:
    """Do what follows from the happening, once, whoever calls. False: it is done, or being done.

    A consequence that breaks is undone alone, logged and noted in the happening's detail: the others go on.
    """
    with transaction.atomic():
        rows = Happening.objects.filter(pk=happening_id, handled_at__isnull=True)
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        happening = rows.select_related("artifact").first()
        if happening is None:
            return False
        kind = KINDS.get(happening.kind)
        broken = [name for one in (kind.consequences if kind else ()) if (name := _broken(one, happening))]
        detail = {**happening.detail, "broken": broken} if broken else happening.detail
        Happening.objects.filter(pk=happening.pk).update(handled_at=timezone.now(), detail=detail)
    return True


def _broken(consequence: Consequence, happening: Happening) -> str:
    """What of it broke; empty when it was done. The database's own trouble is everybody's: all is tried again."""
    try:
        with transaction.atomic():
            consequence(happening)
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("%s of happening %s (%s) broke", consequence.__name__, happening.pk, happening)
        return f"{consequence.__name__}: {error}"
    return ""


def unhandled(*, limit: int) -> list[int]:
    """Happenings that a lost wake-up or a killed worker left."""
    rows = Happening.objects.filter(handled_at__isnull=True).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:limit])
