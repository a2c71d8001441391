"""Events of other systems, without a database: how they are read, merged and named."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import CausewayError, InvalidArgument
from lineage.outside.events import Name, RunState, read_event, read_time
from lineage.outside.facets import Facet, Facets, loaded, merge, shown, stored
from lineage.outside.folding import Folded, fold
from lineage.outside.rules import Named, Rule, address_of, check_rule, named_by
from tests.lineage.outside_events import day_of, event

RUN = uuid.UUID("0190c0de-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-05-17T08:00:00.000Z", datetime(2026, 5, 17, 8, tzinfo=timezone.utc)),
        ("2026-05-17T08:00Z", datetime(2026, 5, 17, 8, tzinfo=timezone.utc)),  # Java leaves out seconds of zero
        ("2026-05-17T10:00:00.123456789+02:00", datetime(2026, 5, 17, 8, 0, 0, 123456, timezone.utc)),
        ("2026-05-17T10:00:00+02:00[Europe/Berlin]", datetime(2026, 5, 17, 8, tzinfo=timezone.utc)),
        ("2026-05-17 02:30:00.5-0530", datetime(2026, 5, 17, 8, 0, 0, 500000, timezone.utc)),
        ("2026-05-17T08:00:00", datetime(2026, 5, 17, 8, tzinfo=timezone.utc)),
    ],
)
def test_times_are_read_as_the_clients_write_them(told: str, moment: datetime) -> None:
    assert read_time(told, "eventTime") == moment


@pytest.mark.parametrize("told", ["yesterday", "2026-13-01T00:00:00Z", 17, None, "2026-05-17T08:00:00+99:00", "9" * 99])
def test_what_is_no_time_is_refused(told: Any) -> None:
    with pytest.raises(InvalidArgument, match="eventTime"):
        read_time(told, "eventTime")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run": {"runId": "seven"}}, "run.runId is a UUID"),
        ({"run": {"runId": 7}}, "run.runId is a UUID"),
        ({"run": []}, "run is a JSON object"),
        ({"job": {"name": "x"}}, "job.namespace"),
        ({"job": {"namespace": "n", "name": "a\0b"}}, "NUL"),
        ({"eventType": "PAUSE"}, "START, RUNNING, COMPLETE, ABORT, FAIL"),
        ({"inputs": {}}, "inputs is a list"),
        ({"inputs": [{"name": "x"}]}, "inputs/0.namespace"),
        ({"outputs": [{"namespace": "n", "name": "x", "facets": 3}]}, "outputs/0.facets is a JSON object"),
        ({"outputs": [{"namespace": "n", "name": "x", "facets": {"a": {"b": float("inf")}}}]}, "out of range"),
        ({"outputs": [{"namespace": "n", "name": "x", "facets": {"a": {"b": "\0"}}}]}, "NUL"),
        ({"run": {"runId": str(RUN), "facets": {f"f{one}": {} for one in range(101)}}}, "at most 100"),
    ],
)
def test_it_says_what_is_wrong_with_an_event(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        read_event({**event("START", RUN, "j"), **change})


def test_a_text_that_only_looks_like_a_nul_is_kept() -> None:
    one = event("START", RUN, "j", run_facets={"sql": {"query": r"select '\u0000'"}})
    assert read_event(one).run_facets["sql"].value == {"query": r"select '\u0000'"}


def test_an_event_without_a_type_and_with_a_parent_that_cannot_be_read_is_still_one() -> None:
    one = event("START", RUN, "j", run_facets={"parent": {"run": {"runId": "x"}}})
    del one["eventType"]
    read = read_event(one)
    assert (read.state, read.parent, read.run_id) == (RunState.OTHER, None, RUN)


def test_job_and_dataset_events_are_read() -> None:
    at = "2026-05-17T08:00:00Z"
    job = read_event(
        {"eventTime": at, "job": {"namespace": "n", "name": "j"}, "inputs": [{"namespace": "d", "name": "x"}]}
    )
    assert (job.run_id, len(job.datasets)) == (None, 1)
    dataset = read_event({"eventTime": at, "dataset": {"namespace": "d", "name": "x", "facets": {"schema": {}}}})
    assert (dataset.job, dataset.datasets[0].role) == (None, None)
    folded = fold([job, dataset])
    assert list(folded.datasets) == [Name("d", "x").key]
    assert set(folded.datasets[Name("d", "x").key].facets) == {"schema"}
    with pytest.raises(InvalidArgument, match="has a `run` and a `job`"):
        read_event({"eventTime": at})


facets = st.dictionaries(
    st.sampled_from("abc"), st.builds(Facet, st.integers(0, 3), st.sampled_from(['{"x":1}', '{"x":2}'])), max_size=3
)


@given(facets, facets, facets)
def test_merging_facets_knows_no_order_and_no_repetition(one: Facets, two: Facets, three: Facets) -> None:
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(merge(one, two), two) == merge(one, two)
    assert loaded(stored(one)) == one


def test_of_too_many_facets_the_latest_stay_in_any_order() -> None:
    old = {f"o{number}": Facet(1, "{}") for number in range(80)}
    new = {f"n{number}": Facet(2, "{}") for number in range(80)}
    both = merge(old, new)
    assert merge(new, old) == both == merge(both, old)
    assert len(both) == 100
    assert new.items() <= both.items()


def test_what_its_producer_took_back_is_not_shown() -> None:
    assert shown({"a": [2, {"_deleted": True}], "b": [1, {"x": 1}]}) == {"b": {"x": 1}}


def _same(one: Folded, other: Folded) -> bool:
    return (one.jobs, one.datasets, one.runs, one.uses) == (other.jobs, other.datasets, other.runs, other.uses)


def test_shuffled_and_repeated_events_say_the_same() -> None:
    events = [read_event(one) for day in range(3) for one in day_of(day)]
    in_order = fold(events)
    for seed in range(50):
        mixed = events * 2
        random.Random(seed).shuffle(mixed)  # noqa: S311 - reproducible
        assert _same(fold(mixed), in_order), seed


def test_a_run_that_ended_stays_so_whatever_is_told_afterwards() -> None:
    events = [
        read_event(event("START", RUN, "j", minute=0)),
        read_event(event("COMPLETE", RUN, "j", minute=5)),
        read_event(event("RUNNING", RUN, "j", minute=9)),
        read_event(event("OTHER", RUN, "j", minute=10)),
    ]
    run = fold(events).runs[RUN]
    assert (run.state, run.ended_at, run.started_at) == (RunState.COMPLETE, events[1].at, events[0].at)
    assert run.seen_at == events[3].at


RULES = [
    Rule("postgres://*", "shop.marts.{table}", "mart-{table}"),
    Rule("s3://features", "{team}/{table}/day={day}", "features-{table}", (("team", "{team}"), ("day", "{day}"))),
    Rule("s3://*", "*", "everything"),
]


@pytest.mark.parametrize(
    ("namespace", "name", "expected"),
    [
        ("postgres://db:5432", "shop.marts.daily", (0, Named("mart-daily", {}))),
        ("postgres://db:5432", "shop.marts.daily.x", (0, Named("mart-daily.x", {}))),
        (
            "s3://features",
            "risk/scores/day=2026-05-17",
            (1, Named("features-scores", {"team": "risk", "day": "2026-05-17"})),
        ),
        ("s3://features", "risk/scores", (2, Named("everything", {}))),
        ("mysql://db", "shop.marts.daily", None),
    ],
)
def test_the_first_rule_that_fits_names_a_dataset(namespace: str, name: str, expected: object) -> None:
    assert named_by(RULES, Name(namespace, name)) == expected


def test_a_name_that_no_artifact_can_have_is_told() -> None:
    found = named_by([Rule("n", "*", "{name}")], Name("n", "a/b"))
    assert found is not None
    assert isinstance(found[1], CausewayError)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule("", "x", "a"), "namespace: a pattern has"),
        (Rule("n", "{a}{b}", "{a}"), "nothing in between"),
        (Rule("n", "{a}*", "{a}"), "nothing in between"),
        (Rule("n", "***", "a"), "at most 2 stars"),
        (Rule("n", "{Table}", "a"), "holds a word"),
        (Rule("{a}", "{a}", "{a}"), "twice"),
        (Rule("n", "x", "{table}"), "in no pattern"),
        (Rule("n", "x", "a/b"), "not an artifact name"),
        (Rule("n", "x", "a", (("bad key", "x"),)), "bad key"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: Rule, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_rule(rule)


def test_no_name_makes_a_pattern_slow() -> None:
    """Ten parts, and a name that fits but for its end: read from left to right, once."""
    rule = Rule("n", "-".join(f"{{{letter}}}" for letter in "abcdefghij") + "!", "x")
    check_rule(rule)
    assert named_by([rule], Name("n", "-" * 4000)) is None
    assert named_by([rule], Name("n", "x-" * 2000)) is None


@pytest.mark.parametrize(
    ("namespace", "name", "address"),
    [
        ("s3://bucket", "a/b", "s3://bucket/a/b"),
        ("s3://bucket/", "/a/b", "s3://bucket/a/b"),
        ("postgres://db:5432", "shop.public.orders", "postgres://db:5432/shop.public.orders"),
        ("file", "/srv/x.csv", "openlineage://file/srv/x.csv"),
        ("file://host", "/srv/x.csv", "openlineage://host/srv/x.csv"),
        ("kafka-cluster", "topic", "openlineage://kafka-cluster/topic"),
    ],
)
def test_a_dataset_has_an_address(namespace: str, name: str, address: str) -> None:
    assert address_of(Name(namespace, name)) == address
