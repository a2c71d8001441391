"""Whatever way a page is found, by walking the rows in order or by the index of its conditions, it is the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from artifacts.exceptions import InvalidArgument, SearchTooLong
from artifacts.last_published import note_between
from artifacts.models import Artifact, ArtifactVersion, Metric, Partition, PartitionsMark
from artifacts.partition_values import digest_of
from artifacts.search import read_search, windows
from artifacts.terms import terms_of
from tests.artifacts.publishing import START

KINDS = ("model", "dataset", "value")
REGIONS = ("SEA", "LAX", "ATL")


def make_versions(rows: list[tuple[int, str, str, float]], project: str = "p") -> list[ArtifactVersion]:
    """Versions of one artifact: minute of publication, kind, region, metric `auc` (below 0: none). In that order of
    ids."""
    artifact, _ = Artifact.objects.get_or_create(
        project=project, domain="d", name="n", defaults={"partition_keys": ["region"]}
    )
    versions = []
    for n, (minute, kind, region, auc) in enumerate(rows):
        version = ArtifactVersion(
            artifact=artifact,
            version=f"v{minute}.{n}",
            kind=kind,
            literal=b"",
            literal_type=b"",
            partitions={"region": region},
            partition_digest=digest_of({"region": region}),
            metrics={"auc": auc} if auc >= 0 else {},
            created_at=START + timedelta(minutes=minute),
        )
        version.terms = terms_of(version)
        versions.append(version)
    ArtifactVersion.objects.bulk_create(versions)
    Partition.objects.bulk_create(
        [Partition(artifact=artifact, digest=v.partition_digest, values=v.partitions) for v in versions],
        ignore_conflicts=True,
    )
    Metric.objects.bulk_create(Metric(version=v, name="auc", value=v.metrics["auc"]) for v in versions if v.metrics)
    return versions


def note(versions: list[ArtifactVersion]) -> None:
    """When their partitions were last published, as the turns of the slow queue's worker would."""
    after, upto = (versions[0].pk - 1, versions[-1].pk) if versions else (0, 0)
    note_between(after, upto)
    PartitionsMark.objects.create(counted_to=upto, ahead_to=upto, ahead_xid=1)


def pages(text: str, limit: int, **mine: str) -> list[ArtifactVersion]:
    search, cursor, found = read_search(text), "", []
    while True:
        page = search.page(ArtifactVersion.objects.filter(**mine), limit=limit, cursor=cursor)
        found += page.rows
        if not page.cursor:
            return found
        assert len(page.rows) == limit
        cursor = page.cursor


# By index at once; by walking all rows; by walking some, and the others by index.
WAYS: dict[str, dict[str, Any]] = {
    "index": {"CHEAP": 10**9, "TRIFLE": 10**9, "WINDOWS": (1,), "METRIC_WINDOWS": (1,), "NEAR": 0},
    "walk": {"CHEAP": -1, "TRIFLE": -1, "WINDOWS": (1000,), "METRIC_WINDOWS": (1000,)},
    "both": {"CHEAP": -1, "TRIFLE": -1, "WINDOWS": (1, 3, 4, 8), "METRIC_WINDOWS": (1, 3), "WALKED": 2},
    "steps": {"CHEAP": -1, "TRIFLE": -1, "WINDOWS": tuple(range(1, 16)), "METRIC_WINDOWS": (1, 2, 4), "WALKED": 1},
}
rows = st.lists(
    st.tuples(
        st.integers(0, 6), st.sampled_from(KINDS), st.sampled_from(REGIONS), st.sampled_from([-1.0, 0.1, 0.5, 0.9])
    ),
    max_size=15,
)
SEARCHES: dict[str, Callable[[ArtifactVersion], bool]] = {
    "": lambda v: True,
    "kind:model": lambda v: v.kind == "model",
    "region=SEA": lambda v: v.partitions["region"] == "SEA",
    "region=SEA region=LAX": lambda v: v.partitions["region"] != "ATL",
    "region=SEA -kind:value": lambda v: v.partitions["region"] == "SEA" and v.kind != "value",
    "kind:model kind:dataset region!=LAX": lambda v: v.kind != "value" and v.partitions["region"] != "LAX",
    "metric.auc>=0.5": lambda v: v.metrics.get("auc", 0) >= 0.5,
    "created>2026-05-17T12:02 n": lambda v: v.created_at >= START + timedelta(minutes=3),
}


class TestPages(TestCase):
    @settings(max_examples=40, deadline=None)
    @given(
        st.sampled_from(sorted(WAYS)),
        rows,
        st.sampled_from(sorted(SEARCHES)),
        st.integers(1, 4),
        st.sampled_from(["", "-asc"]),
        st.none() | st.integers(1, 15),
    )
    def test_it_pages_through_all_that_match_in_order(
        self,
        way: str,
        given_rows: list[tuple[int, str, str, float]],
        text: str,
        limit: int,
        direction: str,
        noted: int | None,
    ) -> None:
        """However many of the versions it is noted of when their partitions were last published."""
        versions = make_versions(given_rows)
        if noted is not None and versions:
            note(versions[:noted])
        expected = [version for version in versions if SEARCHES[text](version)]
        by_time = sorted(expected, key=lambda v: (v.created_at, v.pk), reverse=not direction)
        with mock.patch.multiple(windows, **WAYS[way]):
            assert pages(f"{text} sort:created{direction}", limit) == by_time
        scored = [version for version in expected if version.metrics]
        by_metric = sorted(scored, key=lambda v: (v.metrics["auc"], v.pk), reverse=not direction)
        with mock.patch.multiple(windows, **WAYS[way]):
            assert pages(f"{text} sort:metric.auc{direction}", limit) == by_metric


def test_ids_that_do_not_grow_with_time_tell_no_version_twice(db: None) -> None:
    versions = make_versions([(minute, "value", "SEA", -1) for minute in (0, 3, 1, 4, 2, 5)])
    for direction in ("", "-asc"):
        in_order = sorted(versions, key=lambda version: version.created_at, reverse=not direction)
        with mock.patch.multiple(windows, **WAYS["steps"], GROWTH=1):
            assert pages(f"kind:value sort:created{direction}", 50) == in_order


@pytest.mark.parametrize("way", sorted(WAYS))
def test_who_may_read_some_projects_finds_what_is_there_and_nothing_else(db: None, way: str) -> None:
    """However many others lie between."""
    for minute in range(6):
        make_versions([(minute, "model", "SEA", 0.9), (minute, "value", "LAX", 0.1)], "theirs")
        make_versions([(minute, "model", "SEA", 0.5)] if minute % 3 == 0 else [(minute, "value", "ATL", -1)], "mine")
    for text, matches in SEARCHES.items():
        mine = [one for one in ArtifactVersion.objects.filter(artifact__project="mine") if matches(one)]
        newest = sorted(mine, key=lambda one: (one.created_at, one.pk), reverse=True)
        best = sorted((v for v in mine if v.metrics), key=lambda v: (v.metrics["auc"], v.pk), reverse=True)
        with mock.patch.multiple(windows, **WAYS[way]):
            assert pages(text, 2, artifact__project="mine") == newest
            assert pages(f"{text} sort:metric.auc", 1, artifact__project="mine") == best
            rows = ArtifactVersion.objects.filter(artifact__project="mine")
            assert read_search(text).facets(rows).counted == len(newest)


def test_a_value_that_was_given_up_long_ago_costs_no_search_through_the_time_since(db: None) -> None:
    given_up = [(n, "model", "SEA", -1.0) for n in range(3)]
    versions = make_versions([*given_up, *((n, "model", "LAX", -1.0) for n in range(100, 400))])
    old = versions[:3]
    note(versions[:-5])
    found = {}
    with mock.patch.multiple(windows, CHEAP=-1, WINDOWS=tuple(range(10, 400, 10))):
        for text in ("region=SEA", "region=SEA kind:model", "region=SEA region=ATL", "region=ATL"):
            with CaptureQueriesContext(connection) as queries:
                found[text] = pages(text, 50)
            assert len(queries) <= 18, [query["sql"][:200] for query in queries]
    assert found.pop("region=ATL") == []
    assert all(rows == old[::-1] for rows in found.values())


@pytest.mark.django_db
def test_a_page_of_another_search_is_refused() -> None:
    make_versions([(n, "model", "SEA", 0.5) for n in range(3)])
    cursor = read_search("").page(ArtifactVersion.objects.all(), limit=1).cursor
    for text, given_cursor in (("sort:metric.auc", cursor), ("", "nonsense"), ("", "WzEsMl0=")):
        with pytest.raises(InvalidArgument, match="cursor is not one"):
            read_search(text).page(ArtifactVersion.objects.all(), limit=1, cursor=given_cursor)


@pytest.mark.django_db
def test_it_gives_up_after_its_time_and_leaves_the_connection_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    make_versions([(1, "model", "SEA", 0.5)])
    slow = ArtifactVersion.objects.extra(where=["pg_sleep(0.2) IS NOT NULL"])
    monkeypatch.setattr(windows, "SECONDS", 0.05)
    with pytest.raises(SearchTooLong, match="narrow it"):
        read_search("").page(slow, limit=1)
    monkeypatch.undo()
    assert len(read_search("").page(slow, limit=1).rows) == 1
    with connection.cursor() as cursor:
        for name, value in {
            "statement_timeout": "0",
            "enable_bitmapscan": "on",
            "cpu_index_tuple_cost": "0.005",
        }.items():
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,)


@pytest.mark.django_db
def test_other_faults_of_the_database_are_not_taken_for_a_long_search() -> None:
    broken = ArtifactVersion.objects.extra(where=["pg_terminate_backend(0) IS NULL AND 1 / 0 = 1"])
    with pytest.raises(Exception, match="division by zero") as caught:
        read_search("").page(broken, limit=1)
    assert not isinstance(caught.value, SearchTooLong | OperationalError)


MANY = 20_000


@pytest.fixture
def many(db: None) -> None:
    """Enough rows that a plan is not a scan for want of anything better."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO artifacts_artifact (id, project, domain, name, kind, description, partition_keys, granularity,"
            " created_at) SELECT n, 'p', 'd', 'a' || n, 'model', '', '{region}', 0, now() FROM generate_series(1, 50) n"
        )
        cursor.execute(
            "INSERT INTO artifacts_artifactversion (artifact_id, version, kind, literal, literal_type, uri,"
            " content_hash, partitions, partition_digest, execution_key, node_id, output, producer, created_by,"
            " card_format, card, card_uri, metadata, metrics, terms, created_at)"
            " SELECT 1 + n %% 50, 'v' || n, 'model', '', '', '', '', jsonb_build_object('region', 'r' || n %% 500),"
            " md5((n %% 500)::text), 'p/d/e' || n, '', '', '', '', '', '', '', '{}', '{}',"
            " array_to_tsvector(ARRAY['word' || n %% 1000]), timestamptz '2026-01-01Z' + n * interval '1 minute'"
            " FROM generate_series(1, %s) n",
            [MANY],
        )
        cursor.execute(
            "INSERT INTO artifacts_metric (version_id, name, value)"
            " SELECT id, 'auc', (id % 1000) / 1000.0 FROM artifacts_artifactversion"
        )
        for model in (Artifact, ArtifactVersion, Metric, Partition):
            cursor.execute(f"ANALYZE {model._meta.db_table}")


BY_INDEX = {
    "word77": "version_terms",
    "region=r77": "version_partitions",
    "execution:e77": "version_execution",
    "name:a7 created>2026-01-08": "version_newest",
    "metric.auc>0.9985": "artifacts_artifactversion_pkey",
    "kind:dataset": "version_kind",
    "removed:yes": "version_removed",
}


def plan_of(text: str, *, by_index: bool) -> str:
    search = read_search(text)
    matching = windows._Matching(search.order.apply(search.filter(ArtifactVersion.objects.all())), search.order, ())
    sql, params = matching._window(None, None, 50, by_index=by_index)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_rare_conditions_are_found_by_their_index(many: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # so few rows are read as fast; whether it can is the question
    for text, index in BY_INDEX.items():
        plan = plan_of(text, by_index=False)
        assert index in plan and "Seq Scan on artifacts_artifactversion" not in plan, f"{text}\n{plan}"
    for text, index in {"": "version_recent", "sort:metric.auc": "metric_order"}.items():
        plan = plan_of(text, by_index=True)
        assert index in plan and "Sort" not in plan, f"{text}\n{plan}"


def test_it_finds_the_newest_by_few_and_cheap_statements(many: None) -> None:
    """A frequent condition reads no more than the first window, a rare one is found by index after it."""
    for text, statements in {"region=r77": 12, "": 8, "nosuchword": 14}.items():
        with CaptureQueriesContext(connection) as queries:
            found = read_search(text).page(ArtifactVersion.objects.select_related("artifact"), limit=10)
        assert len(queries) <= statements, [query["sql"][:200] for query in queries]
        assert len(found.rows) == (0 if text == "nosuchword" else 10)


def test_what_matches_now_and_then_is_walked_to_however_cheap_the_planner_takes_all_of_it_for(many: None) -> None:
    """Its guess of how often words that begin so occur is far too low at times."""
    search, read = read_search("word1"), []  # 111 of a thousand words begin so
    with mock.patch.object(windows, "WINDOWS", (20, 1_000, 5_000)), CaptureQueriesContext(connection) as queries:
        read = search.page(ArtifactVersion.objects.all(), limit=30).rows
    assert len(read) == 30 and [row.pk for row in read] == sorted((row.pk for row in read), reverse=True)
    assert not [query["sql"] for query in queries if "id + 0" in query["sql"] and "EXPLAIN" not in query["sql"]]
