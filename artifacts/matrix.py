"""Which partitions of an artifact there are: rows by columns, with the newest version of each place and the gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from django.db import connection

from artifacts.models import Artifact, Granularity, Partition
from artifacts.partition_values import NO_PARTITIONS
from artifacts.periods import TIME, format_period

ROWS, PERIODS = 40, 45
PARTITIONS = 1_000  # combinations of values that are looked at, where columns are a key
_STEPS = {
    Granularity.MINUTE: timedelta(minutes=1),
    Granularity.HOUR: timedelta(hours=1),
    Granularity.DAY: timedelta(days=1),
}


@dataclass(frozen=True)
class Place:
    """A cell. `version`: primary key of the newest there, None: there is none. `partitions` names the place, the period
    among them as `time`.
    """

    row: str
    column: str
    version: int | None
    created_at: datetime | None = None
    partitions: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return ", ".join(part for part in (self.row, self.column) if part)


@dataclass(frozen=True)
class Matrix:
    row_title: str
    column_title: str
    columns: list[str]
    rows: list[tuple[str, list[Place]]]
    more_rows: bool  # there are partitions that are not shown
    earlier: bool  # there are earlier periods

    @property
    def versions(self) -> list[int]:
        return [place.version for _, places in self.rows for place in places if place.version is not None]

    @property
    def missing(self) -> int:
        return sum(place.version is None for _, places in self.rows for place in places)


# A look into an index for each place, however many versions it has.
_BY_TIME = """
SELECT part.digest, period.at, newest.id, newest.created_at
FROM unnest(%(digests)s::text[]) AS part(digest) CROSS JOIN unnest(%(periods)s::timestamptz[]) AS period(at)
CROSS JOIN LATERAL (
    SELECT id, created_at FROM artifacts_artifactversion
    WHERE artifact_id = %(artifact)s AND partition_digest = part.digest AND time_partition = period.at
      AND removed_at IS NULL
    ORDER BY created_at DESC, id DESC LIMIT 1
) AS newest
"""
_BY_KEYS = """
SELECT part.digest, newest.id, newest.created_at
FROM unnest(%(digests)s::text[]) AS part(digest)
CROSS JOIN LATERAL (
    SELECT id, created_at FROM artifacts_artifactversion
    WHERE artifact_id = %(artifact)s AND partition_digest = part.digest AND removed_at IS NULL
    ORDER BY created_at DESC, id DESC LIMIT 1
) AS newest
"""
_ENDS = """
SELECT min(time_partition), max(time_partition) FROM artifacts_artifactversion
WHERE artifact_id = %(artifact)s AND time_partition IS NOT NULL
"""


def matrix_of(artifact: Artifact) -> Matrix | None:
    """Keys by time, the newest PERIODS of it without a gap; of what has no time, keys by the last key. None: it has no
    partitions.
    """
    if artifact.granularity:
        return _by_time(artifact)
    return _by_keys(artifact) if artifact.partition_keys else None


def _by_time(artifact: Artifact) -> Matrix | None:
    with connection.cursor() as cursor:
        cursor.execute(_ENDS, {"artifact": artifact.pk})
        first, last = cursor.fetchone()
    if last is None:
        return None
    periods = _periods(first, last, artifact.granularity)
    partitions = list(Partition.objects.filter(artifact=artifact).order_by("values")[: ROWS + 1])
    named = [(_spelled(one.values, artifact.partition_keys), one.digest, one.values) for one in partitions[:ROWS]]
    named = named or [("", NO_PARTITIONS, {})]
    with connection.cursor() as cursor:
        digests = [digest for _, digest, _ in named]
        cursor.execute(_BY_TIME, {"artifact": artifact.pk, "digests": digests, "periods": periods})
        found = {(digest, at): (pk, created) for digest, at, pk, created in cursor.fetchall()}
    columns = [format_period(at, artifact.granularity) for at in periods]
    rows = []
    for name, digest, values in named:
        cells = zip(columns, periods, strict=True)
        places = [
            Place(name, column, *found.get((digest, at), (None, None)), {**values, TIME: column})
            for column, at in cells
        ]
        rows.append((name, places))
    title = ", ".join(artifact.partition_keys)
    return Matrix(title, "time", columns, rows, len(partitions) > ROWS, periods[0] > first)


def _periods(first: datetime, last: datetime, granularity: int) -> list[datetime]:
    """The last PERIODS, oldest first, none left out."""
    found = [last.astimezone(timezone.utc)]
    while len(found) < PERIODS and found[-1] > first:
        found.append(_previous(found[-1], granularity))
    return found[::-1]


def _previous(at: datetime, granularity: int) -> datetime:
    step = _STEPS.get(Granularity(granularity))
    if step is not None:
        return at - step
    return (at.replace(day=1) - timedelta(days=1)).replace(day=1)


def _by_keys(artifact: Artifact) -> Matrix | None:
    *leading, last = artifact.partition_keys
    partitions = list(Partition.objects.filter(artifact=artifact).order_by("values")[: PARTITIONS + 1])
    if not partitions:
        return None
    shown = partitions[:PARTITIONS]
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEYS, {"artifact": artifact.pk, "digests": [one.digest for one in shown]})
        found = {digest: (pk, created) for digest, pk, created in cursor.fetchall()}
    at = {(_spelled(one.values, leading), str(one.values.get(last, ""))): one.digest for one in shown}
    names = sorted({row for row, _ in at})
    columns = sorted({column for _, column in at})
    of_row = {_spelled(one.values, leading): {key: one.values.get(key, "") for key in leading} for one in shown}

    def place(name: str, column: str) -> Place:
        newest = found.get(at.get((name, column), ""), (None, None))
        return Place(name, column, *newest, {**of_row[name], last: column})

    rows = [(name, [place(name, column) for column in columns[:PERIODS]]) for name in names[:ROWS]]
    more = len(partitions) > PARTITIONS or len(names) > ROWS or len(columns) > PERIODS
    return Matrix(", ".join(leading), last, columns[:PERIODS], rows, more, False)


def _spelled(values: dict[str, str], keys: Sequence[str]) -> str:
    return ", ".join(str(values.get(key, "")) for key in keys)
