"""How the first rows of what a search finds are read, in order, without reading all that matches.

A frequent condition is met quickly by walking the rows in order, a rare one by its index; which one it is, the planner
can only guess, and it guesses badly when conditions hang together. So a few rows are walked first, and how many of
them match says how far the others lie: windows are as large as that, each bounded, and none depends on the guess. Of
the rows only their keys are read here: who asks reads what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet

from artifacts.exceptions import SearchTooLong
from artifacts.models import ArtifactVersion
from artifacts.prepared import prepared
from artifacts.search.order import NEWEST, Cursor, Order
from artifacts.search.slices import NEVER

# Where a window may end: rows from the beginning on.
WINDOWS = (1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 40_000, 80_000, *range(240_000, 2_000_000, 160_000))
METRIC_WINDOWS = (400, 4_000, 20_000)
GROWTH = 5  # times as far as was looked is looked next, at most,
STRIDE = 160_000  # and so many rows more, once there were some
SPARE = 1.3  # rows looked through, of those that it takes if the next ones match as often as the last
WALKED = 40_000  # rows in a window of which each is read, 0.3 µs; in a larger one, rare matches are found by index
# Finding a row by index costs so many of reading one in order: an index finds those of other times as well.
BY_INDEX = 5
TRIFLE = 400  # pages, about: what is thought to cost no more is found by index
CHEAP = 4_000  # likewise, where next to nothing was found in order; what is thought so may be ten times as dear
NEXT_TO_NOTHING = 3  # rows
NEAR = 5_000  # rows that are looked through before that is believed, and before fewer than were asked for are enough
# An entry of an index costs a twentieth of a page in memory; PostgreSQL says a two-hundredth, and then rather reads all
# 180,000 entries of a frequent value than 2,000 rows.
ENTRY_COST = 0.05
# Ways to read rows that the planner takes for shorter than the order's index, when it guesses badly.
ASTRAY = ("enable_bitmapscan",)
ASTRAY_BY_METRIC = ("enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")
SECONDS = 10  # that one statement of a search may take


class First(NamedTuple):
    """`rows`: id, where it stands in the order, and the columns asked for. `complete`: no others match."""

    rows: list[tuple[Any, ...]]
    complete: bool


def first_rows(
    rows: QuerySet[ArtifactVersion, Any],
    order: Order,
    *,
    limit: int,
    enough: int,
    begin: datetime | None = None,
    cursor: Cursor | None = None,
    newest: Callable[[], datetime | None] = lambda: None,
    columns: Sequence[str] = (),
) -> First:
    """The first `limit` of the rows in that order, after the cursor; fewer, but `enough`, if more are far to seek.

    `begin`: a time of publication that none of the rows comes before, in that order. `newest` is asked when the newest
    of all do not match: a time after which none does, if that can be told. SearchTooLong when it takes too long.
    """
    rows = order.apply(rows)
    if cursor is not None:
        rows = rows.filter(order.after(cursor))
        begin = begin if order.metric else cursor.value
    try:
        matching = _Matching(rows, order, columns)
    except EmptyResultSet:  # Django knows already that there are none
        return First([], True)
    with _session(order) as session:
        after = cursor.value if cursor is not None else None
        edges = _Metrics(order, after) if order.metric else _Times(order, begin)
        return _first(matching, session, edges, limit, enough, newest)


def _first(
    matching: _Matching,
    session: _Session,
    edges: _Edges,
    limit: int,
    enough: int,
    newest: Callable[[], datetime | None],
) -> First:
    found: list[tuple[Any, ...]] = []
    looked, jump = 0, False
    before: Any = None
    cost: float | None = None
    near = METRIC_WINDOWS[0] if matching.order.metric else NEAR
    while (
        edge := edges.next(looked, len(found), (enough if looked >= near else limit) - len(found), before)
    ) is not None:
        walking = bool(matching.order.metric) or _walks(edge.rows - looked, looked, len(found), edges.all)
        session.walk(walking)
        found += matching.read(session, before, edge.value, limit - len(found), by_index=walking)
        looked, before = edge.rows, edge.value
        if len(found) >= (enough if looked >= near else limit):
            return First(found, False)
        few = len(found) < NEXT_TO_NOTHING
        if cost is None and (few or looked >= near):
            session.walk(False)
            cost = matching.cost(session, limit)
            jump = not found and matching.order == NEWEST
        if cost is not None and cost <= (CHEAP if few and looked >= near else TRIFLE):
            session.walk(False)
            found = matching.read(session, None, None, limit, by_index=False)
            return First(found, len(found) < limit)
        if not jump or cost is None or cost <= CHEAP:
            continue
        jump = False
        if (end := newest()) is not None and end < before:
            if end == NEVER:
                return First([], True)
            before, looked = end + timedelta(microseconds=1), 0
            edges = _Times(NEWEST, end)
    session.walk(False)
    found += matching.read(session, before, None, limit - len(found), by_index=False)
    return First(found, len(found) < limit)


class _Matching:
    """The rows that match, as a statement: Django puts it together once, and windows are cut from it."""

    def __init__(self, rows: QuerySet[ArtifactVersion, Any], order: Order, columns: Sequence[str]) -> None:
        """EmptyResultSet: there are none."""
        self.order = order
        keys = rows.order_by().select_related(None).values_list("pk", order.column, *columns)
        sql, self.params = keys.query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
        names = ", ".join(["id", "at", *(f"column{n}" for n in range(len(columns)))])
        self.sql = f"SELECT * FROM ({sql}) AS found ({names})"  # noqa: S608 - Django's

    def read(self, session: _Session, before: Any, edge: Any, limit: int, *, by_index: bool) -> list[tuple[Any, ...]]:
        """Those beyond `before` and until `edge`; None: no bound.

        `by_index` false: found in whatever way is best, then sorted; never by walking the index of the order.
        """
        sql, params = self._window(before, edge, limit, by_index=by_index)
        session.cursor.execute(sql, params)
        return list(session.cursor.fetchall())

    def cost(self, session: _Session, limit: int) -> float:
        """What PostgreSQL thinks that it costs to find all, in its own measure: reading a page in order is 1."""
        sql, params = self._window(None, None, limit, by_index=False)
        session.cursor.execute(f"EXPLAIN (FORMAT json) {sql}", params)
        return float(session.cursor.fetchone()[0][0]["Plan"]["Total Cost"])

    def _window(self, before: Any, edge: Any, limit: int, *, by_index: bool) -> tuple[str, list[Any]]:
        beyond, until = ("<", ">=") if self.order.descending else (">", "<=")
        bounds = [(f"at {sign} %s", value) for sign, value in ((beyond, before), (until, edge)) if value is not None]
        where = f"WHERE {' AND '.join(bound for bound, _ in bounds)}" if bounds else ""
        direction = "DESC" if self.order.descending else "ASC"
        nothing = "0.0" if self.order.metric else "interval '0'"
        at, pk = ("at", "id") if by_index else (f"at + {nothing}", "id + 0")
        sql = f"{self.sql} {where} ORDER BY {at} {direction}, {pk} {direction} LIMIT {limit}"
        return sql, [*self.params, *(value for _, value in bounds)]


class _Edge(NamedTuple):
    """Where a window ends: so many rows from the beginning on, roughly, at that value of the order's column."""

    rows: int
    value: Any


class _Edges(Protocol):
    all: int  # rows from the beginning on, roughly

    def next(self, looked: int, found: int, missing: int, before: Any) -> _Edge | None:
        """After `looked` rows, until `before`, of which `found` match and `missing` others are wanted. None: all that
        is left is one window.
        """


def _most(looked: int, found: int) -> int:
    """Where nothing was found the next window costs a few times what those before it did, however large: many would
    cost each what it takes to ask the indexes.
    """
    return min(looked * GROWTH, looked + STRIDE) if found else looked * GROWTH


def _reach(looked: int, found: int, missing: int) -> int:
    """How far to look: as far as it takes if rows go on to match as often, within bounds."""
    most = _most(looked, found)
    return min(most, looked + max(looked // 4, round(missing * looked / found * SPARE))) if found else most


def _walks(size: int, looked: int, found: int, rows: int) -> bool:
    """Whether a window is read in order: a small one, and one of matches that are frequent in all rows, if they go on
    as they did.
    """
    return size <= WALKED or (found >= NEXT_TO_NOTHING and size * looked < found * rows * BY_INDEX)


class _Times:
    """Ends by time of publication. They need not be exact: what one window leaves out is in the next."""

    def __init__(self, order: Order, begin: datetime | None) -> None:
        way = _way(order)
        self._descending = order.descending
        with prepared() as cursor:
            cursor.execute(_TIMES.format(**way._asdict()), [begin or way.first, list(WINDOWS)])
            ends = cursor.fetchall()
        self._edges = [_Edge(rows, value) for rows, value, _ in ends]
        self.all = ends[0][2] if ends else 0

    def next(self, looked: int, found: int, missing: int, before: Any) -> _Edge | None:
        # A version may have been published before one of a smaller id was: windows go one way all the same.
        left = [edge for edge in self._edges if edge.rows > looked and (before is None or self._beyond(edge, before))]
        if not looked or not left:
            return left[0] if left else None
        within = [edge for edge in left if edge.rows <= _most(looked, found)] or left[:1]
        reach = _reach(looked, found, missing)
        return next((edge for edge in within if edge.rows >= reach), within[-1])

    def _beyond(self, edge: _Edge, before: datetime) -> bool:
        return bool(edge.value < before if self._descending else edge.value > before)


class _Metrics:
    """Ends by value of a metric: each is counted when it is asked for, as that takes reading the index until there."""

    all = 0  # read in order, however many

    def __init__(self, order: Order, after: float | None) -> None:
        self._name = order.metric
        self._way = _way(order)
        self._after = after

    def next(self, looked: int, found: int, missing: int, before: Any) -> _Edge | None:
        if looked >= METRIC_WINDOWS[-1]:
            return None
        further = next(rows for rows in METRIC_WINDOWS if rows > looked)
        reach = min(further, _reach(looked, found, missing)) if found else further
        begin = before if before is not None else self._after
        beyond = self._way.beyond if before is None else self._way.beyond[0]
        with prepared() as cursor:
            cursor.execute(
                _METRICS.format(beyond=beyond, order=self._way.order),
                [self._name, self._way.first if begin is None else begin, reach - looked],
            )
            row = cursor.fetchone()
        return None if row is None else _Edge(reach, row[0])


class _Way(NamedTuple):
    """Which way an order goes, in SQL."""

    order: str
    beyond: str
    sign: str
    first: str
    last: str


def _way(order: Order) -> _Way:
    return (
        _Way("DESC", "<=", "-", "infinity", "min") if order.descending else _Way("ASC", ">=", "+", "-infinity", "max")
    )


# Ids grow with time, so they say where a row lies without counting; gaps among them make a window smaller.
_TIMES = """
    SELECT step.rows, edge.created_at, abs(first.id - (SELECT {last}(id) FROM artifacts_artifactversion))
    FROM (
        SELECT id FROM artifacts_artifactversion WHERE created_at {beyond} %s::timestamptz
        ORDER BY created_at {order}, id {order} LIMIT 1
    ) AS first
    CROSS JOIN unnest(%s::bigint[]) AS step (rows)
    CROSS JOIN LATERAL (
        SELECT created_at FROM artifacts_artifactversion WHERE id {beyond} first.id {sign} step.rows
        ORDER BY id {order} LIMIT 1
    ) AS edge
    ORDER BY step.rows
"""
_METRICS = """
    SELECT value FROM artifacts_metric WHERE name = %s::text AND value {beyond} %s::float8
    ORDER BY value {order} OFFSET %s::bigint LIMIT 1
"""


class _Session:
    """What PostgreSQL is told while a search looks."""

    def __init__(self, cursor: CursorWrapper, order: Order) -> None:
        self.cursor = cursor
        self._astray = ASTRAY_BY_METRIC if order.metric else ASTRAY
        self._walking = True
        self._set({"statement_timeout": str(SECONDS * 1000), "cpu_index_tuple_cost": str(ENTRY_COST), **self._ways})

    @property
    def _ways(self) -> dict[str, str]:
        return dict.fromkeys(self._astray, "off" if self._walking else "on")

    def walk(self, walking: bool) -> None:
        """Whether rows are read in order, whatever the planner takes for shorter."""
        if walking != self._walking:
            self._walking = walking
            self._set(self._ways)

    def end(self) -> None:
        changed = ("statement_timeout", "cpu_index_tuple_cost", *self._astray)
        self._set(dict.fromkeys(changed, "DEFAULT"))

    def _set(self, values: dict[str, str]) -> None:
        self.cursor.execute("; ".join(f"SET LOCAL {name} = {value}" for name, value in values.items()))


@contextmanager
def _session(order: Order) -> Iterator[_Session]:
    """A statement that takes too long is ended by the database, and the search with it."""
    inner = connection.in_atomic_block  # then what is set would outlast the search
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            session = _Session(cursor, order)
            yield session
            if inner:
                session.end()
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise SearchTooLong(
            f"the search took longer than {SECONDS} s and was given up: narrow it, with name:, project: or created>"
        ) from error
