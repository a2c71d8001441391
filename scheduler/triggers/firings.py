"""Reading rows of the ledger with their versions, without columns that nobody looks at: they weigh kilobytes each."""

from __future__ import annotations

from django.db.models import QuerySet

from scheduler.models import TriggerFiring

# A card, the words a search looks for, what the producer said of itself: a launch reads none of them.
_NEVER = ("version__card", "version__terms", "version__metadata")
_VALUES = ("version__literal", "version__literal_type")


def with_literals(rows: QuerySet[TriggerFiring]) -> QuerySet[TriggerFiring]:
    """For what may be launched with: the version, its artifact, and its value."""
    return rows.select_related("version__artifact").defer(*_NEVER)


def light(rows: QuerySet[TriggerFiring]) -> QuerySet[TriggerFiring]:
    """For what is only compared, counted and named."""
    return rows.select_related("version__artifact").defer(*_NEVER, *_VALUES)
