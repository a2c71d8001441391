"""In which order what was found is shown, and how a page of it is read without reading all of it.

A frequent condition is met quickly by walking the rows in order, a rare one by its index; which one it is, the planner
can only guess, and it guesses badly when conditions hang together. So a page is looked for among the first few
thousand rows in order, then among more, and only what is then still missing is collected by index and sorted: each
step is bounded, and none depends on the guess.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any, NamedTuple, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import DateTimeField, ExpressionWrapper, F, FilteredRelation, FloatField, Q, QuerySet, Value

from artifacts.exceptions import InvalidArgument, SearchTooLong
from artifacts.models import ArtifactVersion, Metric
from artifacts.search.language import Condition

Rows = QuerySet[ArtifactVersion]
Row = TypeVar("Row")

# Rows that are looked through in turn, before all are.
WINDOWS = (5_000, 20_000, 80_000, *range(240_000, 2_000_000, 160_000))
METRIC_WINDOWS = (4_000, 20_000)
WALKED = 2  # windows whose every row is read
CHEAP = 4_000  # pages, about: what is thought to cost no more is found by index at once
# An entry of an index costs a twentieth of a page in memory; PostgreSQL says a two-hundredth, and then rather reads all
# 180,000 entries of a frequent value than 2,000 rows.
ENTRY_COST = 0.05
ASTRAY = ("enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")
SECONDS = 10  # that one statement of a search may take


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

    @property
    def astray(self) -> Sequence[str]:
        """Ways to read rows that the planner takes for shorter than the order's index, when it guesses badly."""
        return ASTRAY if self.metric else ASTRAY[:1]

    def value_of(self, row: ArtifactVersion) -> Any:
        return getattr(row, "_value") if self.metric else row.created_at  # noqa: B009

    def sorted(self, rows: QuerySet[ArtifactVersion, Row], *, by_index: bool) -> QuerySet[ArtifactVersion, Row]:
        """`by_index` false: found in whatever way is best, then sorted; never by walking the index of the order."""
        keys: list[Any] = [self.column, "pk"]
        if not by_index:
            plus = ExpressionWrapper(
                F(self.column) + Value(0.0 if self.metric else timedelta()),
                output_field=FloatField() if self.metric else DateTimeField(),
            )
            keys = [plus, F("pk") + Value(0)]
        if by_index:
            return rows.order_by(*(f"-{key}" if self.descending else key for key in keys))
        return rows.order_by(*(key.desc() if self.descending else key.asc() for key in keys))

    def after(self, cursor: Cursor) -> Q:
        beyond = "lt" if self.descending else "gt"
        strictly = Q(**{f"{self.column}__{beyond}": cursor.value}) | Q(**{f"pk__{beyond}": cursor.pk})
        return Q(**{f"{self.column}__{beyond}e": cursor.value}) & strictly

    def until(self, edge: Any) -> Q:
        return Q(**{f"{self.column}__{'gte' if self.descending else 'lte'}": edge})

    def beyond(self, edge: Any) -> Q:
        return Q(**{f"{self.column}__{'lt' if self.descending else 'gt'}": edge})

    def between(self, before: Any, edge: Any) -> Q:
        return self.beyond(before) & self.until(edge)


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


class First(NamedTuple):
    """`complete`: there are no others that match."""

    rows: list[Any]
    complete: bool


def first_rows(
    rows: QuerySet[ArtifactVersion, Any],
    order: Order,
    walk: Rows,
    *,
    limit: int,
    enough: int,
    cursor: Cursor | None = None,
    newest: Callable[[], datetime | None] = lambda: None,
) -> First:
    """The first `limit` of the rows in that order, after the cursor; fewer, but `enough`, if more are far to seek.

    `walk` are the rows that the search begins among, which `rows` are some of: all versions, or those of a time.
    `newest` is asked when the newest of them do not match: a time after which none does, if that can be told.
    SearchTooLong when it takes too long.
    """
    rows = order.apply(rows)
    if cursor is not None:
        rows = rows.filter(order.after(cursor))
        walk = walk if order.metric else walk.filter(order.after(cursor))
    with _limits() as settings:
        whole = order.sorted(rows, by_index=False)[:limit]
        if _cost(whole) <= CHEAP:
            found = list(whole)
            return First(found, len(found) < limit)
        found = []
        before: Any = None
        edges = _edges(walk, order, cursor, settings)
        for n in count():
            if n == 1 and not found and order == NEWEST:
                _allow(settings, order.astray)
                if (end := newest()) is not None and end < before:
                    before = end + timedelta(microseconds=1)
                    edges = _edges(walk.filter(created_at__lte=end), order, cursor, settings)
            if not edges:
                break
            edge = edges.pop(0)
            # Near rows are read in order and compared; for far ones any index of the conditions is better.
            walking = n < WALKED
            _allow(settings, order.astray, allowed=not walking)
            near = rows.filter(order.until(edge)) if before is None else rows.filter(order.between(before, edge))
            found += order.sorted(near, by_index=walking)[: limit - len(found)]
            if len(found) >= enough:
                return First(found, False)
            before = edge
        _allow(settings, order.astray)
        rest = rows if before is None else rows.filter(order.beyond(before))
        found += order.sorted(rest, by_index=False)[: limit - len(found)]
        return First(found, len(found) < limit)


def _allow(settings: CursorWrapper, ways: Sequence[str], *, allowed: bool = True) -> None:
    settings.execute("; ".join(f"SET LOCAL {way} = {'on' if allowed else 'off'}" for way in ways))


def _cost(rows: QuerySet[ArtifactVersion, Any]) -> float:
    """What PostgreSQL thinks that it costs, in its own measure: reading a page in order is 1."""
    plan = rows.explain(format="json")  # empty: Django knows already that there are none
    return float(json.loads(plan)[0]["Plan"]["Total Cost"]) if plan else 0.0


def _edges(walk: Rows, order: Order, after: Cursor | None, settings: CursorWrapper) -> list[Any]:
    """Where the windows end: values of the column so and so many rows on, roughly."""
    if order.metric:
        values = Metric.objects.filter(name=order.metric).values_list("value", flat=True)
        if after is not None:
            values = values.filter(**{f"value__{'lte' if order.descending else 'gte'}": after.value})
        values = values.order_by("-value" if order.descending else "value")
        return [edge for window in METRIC_WINDOWS for edge in values[window : window + 1]]
    first = order.sorted(walk, by_index=True).values_list("pk", flat=True).first()
    if first is None:
        return []
    # Ids grow with time, so they say where the row lies without counting; gaps among them make a window smaller.
    edge = _EDGE_BELOW if order.descending else _EDGE_ABOVE
    ids = [first - window if order.descending else first + window for window in WINDOWS]
    settings.execute(f"SELECT {', '.join([edge] * len(ids))}", ids)
    return [at for at in settings.fetchone() if at is not None]


_EDGE_BELOW = "(SELECT created_at FROM artifacts_artifactversion WHERE id <= %s ORDER BY id DESC LIMIT 1)"
_EDGE_ABOVE = "(SELECT created_at FROM artifacts_artifactversion WHERE id >= %s ORDER BY id LIMIT 1)"


@contextmanager
def _limits() -> Iterator[CursorWrapper]:
    """A statement that takes too long is ended by the database, and the search with it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL statement_timeout = {SECONDS * 1000}; SET LOCAL cpu_index_tuple_cost = {ENTRY_COST}"
            )
            yield cursor
            changed = ("statement_timeout", "cpu_index_tuple_cost", *ASTRAY)
            cursor.execute("; ".join(f"SET LOCAL {name} = DEFAULT" for name in changed))
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise SearchTooLong(
            f"the search took longer than {SECONDS} s and was given up: narrow it, with name:, project: or created>"
        ) from error
