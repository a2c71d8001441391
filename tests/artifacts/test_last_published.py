"""Behind publications it is noted in which hour each combination of partition values was last published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from artifacts import last_published
from artifacts.last_published import note_last_published, unnoted, until
from artifacts.models import ArtifactVersion, Partition, PartitionsMark
from artifacts.search import read_search
from artifacts.search.language import grouped, parse
from artifacts.search.slices import NEVER, newest_in_slices
from tests.artifacts.publishing import START
from tests.artifacts.test_search_order import make_versions
from tests.transactions import held, read_on, wait_for_others

pytestmark = pytest.mark.django_db(transaction=True)


def caught_up() -> None:
    read_on(note_last_published)  # a first one begins
    read_on(note_last_published)


def take_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", list(last_published.NOTING))


def newest(text: str) -> datetime | None:
    return newest_in_slices(grouped(parse(text)))


def last_in() -> dict[str, datetime | None]:
    return {row.values["region"]: row.last_in for row in Partition.objects.all()}


def test_each_combination_is_noted_with_the_hour_of_its_last_version() -> None:
    assert newest("region=SEA") is None  # nothing can be told before the first turn
    make_versions(
        [(0, "model", "SEA", -1), (70, "model", "SEA", -1), (300, "model", "LAX", -1), (90, "model", "SEA", -1)]
    )
    caught_up()
    hour = START.replace(minute=0, second=0, microsecond=0)
    assert last_in() == {"SEA": (START + timedelta(minutes=90)).replace(minute=0), "LAX": hour + timedelta(hours=5)}
    assert newest("region=SEA") == until(last_in()["SEA"] or NEVER) >= START + timedelta(minutes=90)
    assert newest("region=SEA region=LAX") == until(last_in()["LAX"] or NEVER)
    assert newest("region=ATL") == NEVER
    assert newest("kind:model") is None and newest("-region=SEA") is None


def test_versions_that_are_not_noted_yet_are_looked_at() -> None:
    make_versions([(0, "model", "SEA", -1)])
    caught_up()
    make_versions([(500, "model", "SEA", -1), (600, "model", "LAX", -1)], "other")
    assert newest("region=SEA") == START + timedelta(minutes=500)
    assert newest("region=LAX") == START + timedelta(minutes=600)  # its combination has no hour yet


def test_nothing_is_told_where_too_many_are_not_noted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    make_versions([(0, "model", "SEA", -1)])
    caught_up()
    make_versions([(n, "model", "LAX", -1) for n in range(3)], "other")
    monkeypatch.setattr("artifacts.search.slices.UNNOTED", 2)
    assert newest("region=SEA") is None
    caught_up()
    assert newest("region=SEA") is not None
    monkeypatch.setattr("artifacts.search.slices.LOOKED_UP", 1)
    assert newest("region=SEA region=LAX") is None  # nor where there are too many combinations


def test_a_combination_is_written_to_once_an_hour_whatever_is_published() -> None:
    make_versions([(0, "model", "SEA", -1)])
    caught_up()
    make_versions([(n, "model", "SEA", -1) for n in range(1, 4)], "other")
    with CaptureQueriesContext(connection) as queries:
        caught_up()
    before = {row.pk: row.last_in for row in Partition.objects.all()}
    assert [query for query in queries if "UPDATE artifacts_partition" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, xmin::text FROM artifacts_partition")
        written = dict(cursor.fetchall())
        make_versions([(4, "model", "SEA", -1)], "third")
        caught_up()
        cursor.execute("SELECT id, xmin::text FROM artifacts_partition WHERE id = ANY(%s)", [list(before)])
        assert dict(cursor.fetchall()) == written


def test_a_version_whose_transaction_ends_late_is_not_passed_over() -> None:
    """Its id was given out before those that are seen already."""
    make_versions([(0, "model", "LAX", -1)])
    caught_up()
    with held(lambda: make_versions([(100, "model", "SEA", -1)], "slow")):
        make_versions([(200, "model", "LAX", -1)], "quick")
        assert [note_last_published() for _ in range(3)] == [0, 0, 0]
    assert newest("region=SEA") == START + timedelta(minutes=100)
    caught_up()
    assert last_in()["SEA"] is not None and unnoted() == (ArtifactVersion.objects.order_by("-pk")[0].pk, 0)


def test_one_at_a_time_takes_a_turn_and_many_versions_take_several(monkeypatch: pytest.MonkeyPatch) -> None:
    caught_up()
    make_versions([(n, "model", "SEA", -1) for n in range(7)])
    note_last_published()
    wait_for_others()
    monkeypatch.setattr(last_published, "AT_ONCE", 3)
    times: Iterator[float] = iter([0.0, 0.0, 99.0, 99.0])
    assert note_last_published(clock=lambda: next(times)) == 6  # until its time is over
    with held(take_turn):
        assert note_last_published() == 0
    assert note_last_published() == 1
    assert PartitionsMark.objects.count() == 1


def test_a_search_begins_where_its_value_was_last_published() -> None:
    make_versions([(0, "model", "SEA", -1), *((n, "model", "LAX", -1) for n in range(1000, 1300))])
    caught_up()
    rows = read_search("region=SEA").page(ArtifactVersion.objects.all(), limit=5).rows
    assert [row.partitions for row in rows] == [{"region": "SEA"}]
