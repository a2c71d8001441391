"""In which order what was found is shown, and where a page ends in it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeVar

from django.db.models import F, FilteredRelation, Q, QuerySet

from artifacts.exceptions import InvalidArgument
from artifacts.models import ArtifactVersion
from artifacts.search.language import Condition

Rows = QuerySet[ArtifactVersion]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Order:
    """`metric` empty: by publication. Ties go by id, in the same direction."""

    metric: str = ""
    descending: bool = True

    @property
    def column(self) -> str:
        return "_value" if self.metric else "created_at"

    def apply(self, rows: QuerySet[ArtifactVersion, Row]) -> QuerySet[ArtifactVersion, Row]:
        """Rows that have the column, not in order yet."""
        if not self.metric:
            return rows
        joined = FilteredRelation("metric_rows", condition=Q(metric_rows__name=self.metric))
        return rows.annotate(_sorted=joined, _value=F("_sorted__value")).filter(_value__isnull=False)

    def after(self, cursor: Cursor) -> Q:
        beyond = "lt" if self.descending else "gt"
        strictly = Q(**{f"{self.column}__{beyond}": cursor.value}) | Q(**{f"pk__{beyond}": cursor.pk})
        return Q(**{f"{self.column}__{beyond}e": cursor.value}) & strictly


NEWEST = Order()


def read_order(conditions: Sequence[Condition]) -> Order:
    """What `sort:` says, the newest first without. InvalidArgument says what can be sorted by."""
    said = [condition for condition in conditions if condition.key.lower() == "sort"]
    if not said:
        return NEWEST
    name, descending = said[-1].value, True
    for ending in ("-desc", "-asc"):
        if name.endswith(ending):
            name, descending = name[: -len(ending)], ending == "-desc"
            break  # what is before it may be called so
    if name == "created":
        return Order("", descending)
    if name.startswith("metric.") and len(name) > len("metric."):
        return Order(name[len("metric.") :], descending)
    raise InvalidArgument(
        f"'{said[-1]}' sorts by nothing: write sort:created or sort:metric.<name>, with -asc for the smallest first"
    )


class Cursor(NamedTuple):
    """The last row of a page: where it stands in the order."""

    value: Any
    pk: int

    def __str__(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        return base64.urlsafe_b64encode(json.dumps([value, self.pk]).encode()).decode()


def read_cursor(text: str, order: Order) -> Cursor:
    """Raises InvalidArgument for anything that is not the cursor of a page in this order."""
    try:
        value, pk = json.loads(base64.urlsafe_b64decode(text.encode()))
        at = float(value) if order.metric else datetime.fromisoformat(value)
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise ValueError("no time zone")
            at = at.astimezone(timezone.utc)  # OverflowError at the edges of the calendar
        elif not math.isfinite(at):
            raise ValueError("no measure")
        if not 0 <= int(pk) < 2**63:
            raise ValueError("no key")
        return Cursor(at, int(pk))
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise InvalidArgument("cursor is not one this API gave out for this search") from error
