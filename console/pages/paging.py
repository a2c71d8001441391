"""Newest-first paging by key: a page costs the same however far back it lies, and new rows do not shift it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

_DIGITS = re.compile(r"[0-9]{1,18}")
Row = TypeVar("Row", bound=Model)
PAGE_SIZE = 50


def number(text: str) -> int | None:
    """A whole number of an address or form, as far as the database has such; None for everything else."""
    return int(text) if _DIGITS.fullmatch(text) else None


@dataclass(frozen=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    older: str  # query string of the next page, empty on the last
    newest: str  # query string of the first page, empty when on it

    @property
    def is_first(self) -> bool:
        return not self.newest


def newest_first(
    request: HttpRequest, rows: QuerySet[Row], *, size: int = PAGE_SIZE, by: str = "created_at"
) -> Page[Row]:
    """The page that `?before=<moment>_<id>` asks for, by (created_at, id) downwards. A malformed cursor is ignored.

    `by` names another moment to go by.
    """
    query = request.GET.copy()
    cursor = query.pop("before", [""])[-1]
    query.pop("_", None)
    at = _position(str(cursor))
    if at is not None:
        rows = rows.filter(Q(**{f"{by}__lt": at[0]}) | Q(**{by: at[0], "pk__lt": at[1]}))
    found = list(rows.order_by(f"-{by}", "-pk")[: size + 1])
    first = query.urlencode()
    older = ""
    if len(found) > size:
        last = found[size - 1]
        query["before"] = f"{getattr(last, by).isoformat()}_{last.pk}"
        older = "?" + query.urlencode()
    return Page(found[:size], older, f"?{first}" if at is not None else "")


def _position(cursor: str) -> tuple[datetime, int] | None:
    moment, _, key = cursor.rpartition("_")
    try:
        at = datetime.fromisoformat(moment)
        return (at.astimezone(timezone.utc), int(key)) if at.tzinfo and len(key) < 19 else None
    except (ValueError, OverflowError):  # the latter at the edges of the calendar
        return None
