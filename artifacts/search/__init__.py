"""Search in one box: words and filters, narrowed to what the reader may see by the rows that are passed in.

    drift -baseline region=SEA kind:model created>2026-01-01 by:train metric.auc>0.9 alias:champion sort:metric.auc

Words are looked for in names, descriptions, cards, producers, attributes and partition values; all must match. The same
filter twice (`region=SEA region=LAX`) means either. `key=value` is a partition; quotes keep blanks together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import QuerySet

from artifacts.models import Artifact, ArtifactVersion
from artifacts.search.facets import COUNTED, FACETED, FACETED_AT_LEAST, Facet, Facets, count, counted, filter_of
from artifacts.search.filters import artifacts_q, asks_artifact, condition_q, moment_q
from artifacts.search.language import Condition, grouped, parse, toggled
from artifacts.search.order import NEWEST, Cursor, Order, Row, Rows, read_cursor, read_order
from artifacts.search.slices import newest_in_slices
from artifacts.search.whole import ARTIFACTS, Known, of_all
from artifacts.search.windows import first_rows

__all__ = [
    "COUNTED",
    "Facet",
    "Facets",
    "Found",
    "Rows",
    "Search",
    "facets_beside",
    "filter_of",
    "in_order",
    "parse",
    "read_search",
    "search",
    "toggled",
]

BOUNDS = (">", ">=", "<", "<=")


@dataclass(frozen=True)
class Search:
    """A search that makes sense."""

    conditions: Sequence[Condition]
    order: Order

    def filter(self, rows: Rows) -> Rows:
        """The rows that match everything, in no order yet.

        Removed versions are left out unless the search asks for them (`removed:yes`, `removed:any`).
        """
        if not any(c.key.lower() == "removed" and c.operator == ":" for c in self.conditions):
            rows = rows.filter(removed_at__isnull=True)
        groups = grouped(self.conditions)
        if of_artifacts := [group for group in groups if all(map(asks_artifact, group))]:
            rows = rows.filter(artifacts_q(of_artifacts))
        for alternatives in groups:
            if alternatives not in of_artifacts:
                rows = rows.filter(reduce(or_, map(condition_q, alternatives)))
        return rows

    def page(self, rows: Rows, *, limit: int, cursor: str = "") -> Found:
        """The first `limit` of the rows that match, in order, after the cursor."""
        keys = self.keys(rows, limit=limit, cursor=cursor)
        return Found(in_order(keys.ids, rows), keys.cursor)

    def keys(self, rows: Rows, *, limit: int, cursor: str = "") -> Keys:
        """Which rows that page has; `in_order` reads them."""
        after = read_cursor(cursor, self.order) if cursor else None
        asked = limit + 1
        found = first_rows(
            self.filter(rows),
            self.order,
            limit=asked,
            enough=asked,
            begin=self._begin(self.order),
            cursor=after,
            newest=self._newest,
        ).rows
        last = Cursor(found[limit - 1][1], found[limit - 1][0]) if len(found) == asked else None
        return Keys([row[0] for row in found[:limit]], str(last) if last is not None else "")

    def facets(self, rows: Rows, artifacts: QuerySet[Artifact] | None = None) -> Facets:
        """How the newest of the rows that match spread; where nothing is asked for and `artifacts` are those whose
        versions the rows are, how all of them do.
        """
        found = first_rows(
            self.filter(rows),
            NEWEST,
            limit=FACETED,
            enough=FACETED_AT_LEAST,
            begin=self._begin(NEWEST),
            newest=self._newest,
            columns=COUNTED,
        )
        newest = count([counted(*row[2:]) for row in found.rows], more=not found.complete)
        if artifacts is None or self.conditions or not newest.more:
            return newest
        known = artifacts.order_by("-pk").values_list(*Known._fields)[: ARTIFACTS + 1]
        return of_all([Known(*one) for one in known], newest)

    def facets_of(self, found: Found, rows: Rows, artifacts: QuerySet[Artifact] | None = None) -> Facets:
        """The same, beside the first page of what was found: where it is all there is, nothing is looked for again."""
        if found.cursor:
            return self.facets(rows, artifacts)
        return count(
            [tuple(getattr(row, column) for column in COUNTED) for row in found.rows],
            more=False,
            known={row.artifact_id: row.artifact for row in found.rows},
        )

    def _newest(self) -> datetime | None:
        return newest_in_slices(grouped(self.conditions))

    def _begin(self, order: Order) -> datetime | None:
        """The time of publication that the first of what is found cannot come before, if the search names one."""
        named = [c for c in self.conditions if c.key.lower() == "created" and not c.negated and c.operator in BOUNDS]
        bounds: list[Any] = [bound for condition in named for bound in moment_q("created_at", condition).children]
        side = "lt" if order.descending else "gt"
        times = [value for name, value in bounds if name.startswith(f"created_at__{side}")]
        return (min if order.descending else max)(times, default=None)


def read_search(text: str) -> Search:
    """InvalidArgument explains a filter without sense, where it can be told without the database."""
    conditions = parse(text)
    order = read_order(conditions)
    return Search([condition for condition in conditions if condition.key.lower() != "sort"], order)


def search(text: str, rows: Rows) -> Rows:
    """The rows that match everything in the text, in no order yet. InvalidArgument explains a filter without sense."""
    return read_search(text).filter(rows)


def facets_beside(newest: Sequence[tuple[Any, ...]], artifact: Artifact) -> Facets:
    """How all versions of an artifact spread, of which the newest (columns COUNTED), not all, are read already."""
    sample = count(newest, more=True, known={artifact.pk: artifact})
    return of_all([Known(*(getattr(artifact, column) for column in Known._fields))], sample)


def in_order(ids: Sequence[int], rows: QuerySet[ArtifactVersion, Row]) -> list[Row]:
    """These of the rows, whatever is read of them (their `pk` among it). One that was removed altogether in this moment
    is no longer there.
    """
    shown = {row.pk: row for row in rows.filter(pk__in=ids)} if ids else {}  # type: ignore[attr-defined]
    return [shown[pk] for pk in ids if pk in shown]


class Keys(NamedTuple):
    ids: list[int]
    cursor: str  # of the next page; empty on the last one


class Found(NamedTuple):
    rows: list[ArtifactVersion]
    cursor: str  # likewise
