"""What an hour of a resource costs, as administrators of everything set it, and from when on."""

from __future__ import annotations

import math
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument, NotFound
from audit.record import record
from scheduler.models import Price
from scheduler.quotas.resources import ATTEMPTS, HOURS, OF_EXECUTIONS, SETTINGS, named

DEAREST = 1e9
_UNPRICED = {*OF_EXECUTIONS, *SETTINGS, *HOURS}


def set_price(
    resource: str, per_hour: object, *, currency: str = "", valid_from: datetime | None = None, actor: str
) -> Price:
    """One of the same resource and beginning is replaced. `per_hour`: of a core, a GiB, a device, an attempt.

    `valid_from`: now, where it is not said; a time that is over gives what was used since then another price.
    InvalidArgument for what is no amount, no resource that is used by the hour, or another currency than the others'.
    """
    name = named(resource)
    if name in _UNPRICED:
        raise InvalidArgument(f"{name} is not used by the hour: prices are of {ATTEMPTS}, cpu, memory and GPUs")
    amount = _amount(per_hour)
    currency = currency.strip()
    if len(currency) > 8:
        raise InvalidArgument(f"a currency has at most 8 letters, such as EUR, not {currency!r}")
    now = timezone.now()
    with transaction.atomic():
        others = set(Price.objects.select_for_update().values_list("currency", flat=True))
        currency = currency or next(iter(others), "")
        if others - {currency}:
            raise InvalidArgument(f"all prices are in one currency, {', '.join(sorted(others))}, not {currency}")
        row, _ = Price.objects.update_or_create(
            resource=name,
            valid_from=valid_from or now,
            defaults={"per_hour": amount, "currency": currency, "set_by": actor, "set_at": now},
        )
        record(actor, "price.set", row, detail=_shown(row))
    return row


def remove_price(pk: int, *, actor: str) -> None:
    """What it was the price of has the one before it again, or none. NotFound."""
    with transaction.atomic():
        row = Price.objects.filter(pk=pk).first()
        if row is None:
            raise NotFound(f"no price {pk}")
        if Price.objects.filter(pk=row.pk).delete()[0]:  # of two at once one did it
            record(actor, "price.remove", row, detail=_shown(row))


def _amount(given: object) -> float:
    try:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError
        amount = float(given)
    except (ValueError, OverflowError):
        raise InvalidArgument(f"a price is a number, not {given!r}") from None
    if not math.isfinite(amount) or not 0 <= amount <= DEAREST:
        raise InvalidArgument(f"a price is between 0 and {DEAREST:.0f} an hour, not {given}")
    return amount


def _shown(row: Price) -> dict[str, object]:
    return {"per_hour": row.per_hour, "currency": row.currency, "valid_from": row.valid_from.isoformat()}
