"""Which partitions there are, and the gaps between them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from artifacts import matrix
from artifacts.actions.publish import Publication, publish
from artifacts.matrix import Matrix, matrix_of
from artifacts.models import Artifact, ArtifactVersion, Granularity
from lineage.actions.record import record_derivations
from lineage.names import stale_among
from tests.artifacts.publishing import INT, integer

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)


def made(
    name: str, at: datetime | None = None, granularity: Granularity = Granularity.UNSET, **keys: str
) -> ArtifactVersion:
    given = Publication(
        "demo", "development", name, integer(1), INT, partitions=keys, time_partition=at, granularity=granularity
    )
    return publish(given, actor="ann")


def drawn(name: str) -> Matrix:
    found = matrix_of(Artifact.objects.get(name=name))
    assert found is not None
    return found


def cells(found: Matrix) -> dict[str, list[int | None]]:
    return {row: [place.version for place in places] for row, places in found.rows}


def test_days_by_region_with_their_gaps_and_the_newest_of_each() -> None:
    made("sales", DAY, Granularity.DAY, region="SEA")
    newest = made("sales", DAY, region="SEA")
    third = made("sales", DAY + timedelta(days=2), region="SEA")
    other = made("sales", DAY + timedelta(days=1), region="LAX")
    gone = made("sales", DAY, region="LAX")
    ArtifactVersion.objects.filter(pk=gone.pk).update(removed_at=DAY)

    found = drawn("sales")

    assert found.columns == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert cells(found) == {"LAX": [None, other.pk, None], "SEA": [newest.pk, None, third.pk]}
    assert (found.row_title, found.missing, found.earlier, found.more_rows) == ("region", 3, False, False)


def test_months_have_their_own_lengths_and_only_the_last_periods_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "PERIODS", 3)
    first = made("report", datetime(2025, 12, 1, tzinfo=timezone.utc), Granularity.MONTH)
    last = made("report", datetime(2026, 3, 1, tzinfo=timezone.utc))

    found = drawn("report")

    assert found.columns == ["2026-01", "2026-02", "2026-03"] and found.earlier
    assert cells(found) == {"": [None, None, last.pk]} and first.pk not in found.versions


def test_two_keys_are_rows_and_columns() -> None:
    big = made("model", region="SEA", size="big")
    small = made("model", region="LAX", size="small")

    found = drawn("model")

    assert found.columns == ["big", "small"]
    assert cells(found) == {"LAX": [None, small.pk], "SEA": [big.pk, None]}


def test_one_key_is_one_row_and_none_is_none() -> None:
    version = made("one", region="SEA")
    assert cells(drawn("one")) == {"": [version.pk]}
    made("plain")
    assert matrix_of(Artifact.objects.get(name="plain")) is None


def test_it_costs_the_same_queries_whatever_there_is() -> None:
    made("sales", DAY, Granularity.DAY, region="SEA")
    artifact = Artifact.objects.get(name="sales")
    with CaptureQueriesContext(connection) as few:
        matrix_of(artifact)
    for number in range(30):
        made("sales", DAY + timedelta(days=number), region=f"R{number % 5}")
    with CaptureQueriesContext(connection) as many:
        matrix_of(artifact)
    assert len(few) == len(many) == 3


def test_what_was_made_of_something_published_anew_is_out_of_date() -> None:
    old, other = made("sales", region="SEA"), made("sales", region="LAX")
    model, fresh = made("model", region="SEA"), made("model", region="LAX")
    record_derivations([(old.pk, model.pk), (other.pk, fresh.pk)])
    assert stale_among([model.pk, fresh.pk]) == set()
    made("sales", region="SEA")
    assert stale_among([model.pk, fresh.pk]) == {model.pk}
