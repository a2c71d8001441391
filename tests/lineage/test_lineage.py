from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flytekit.core.artifact import Artifact as FlyteArtifact
from hypothesis import given
from hypothesis import strategies as st

from artifacts.models import Artifact, ArtifactVersion
from lineage.actions.record import Use, record_consumed, record_produced, record_started
from lineage.graph import Link, Origin, origins, reach, to_dot, to_mermaid
from lineage.models import ExecutionLink, LinkKind, VersionEdge, Via
from lineage.queries import (
    ancestry,
    compare_ancestries,
    impact,
    one_hop,
    staleness,
    started_by,
    started_from,
    trained_on,
    versions_of,
)
from tests.artifacts.publishing import START, card_metadata, integer, publish_output

KEY = "flytesnacks/development/"


def make(
    name: str, execution: str, *, of: list[ArtifactVersion] | None = None, minute: int = 0, kind: int = 0
) -> ArtifactVersion:
    """`execution` took in `of` and published a version of `name`."""
    uses = [Use(version.pk, variable=f"i{n}", via=Via.QUERY) for n, version in enumerate(of or [])]
    record_consumed(KEY + execution, uses, at=START)
    value = integer(1, card_metadata("# Card", kind=kind) if kind else None)
    at = START + timedelta(minutes=minute)
    version = publish_output(FlyteArtifact(name=name), value, execution=execution, output=name, at=at).versions[0][1]
    record_produced(KEY + execution, [Use(version.pk, node_id="n0", variable="o0", via=Via.OUTPUT)], at=START)
    return version


@pytest.mark.django_db
def test_it_records_each_fact_once() -> None:
    version = make("raw", "e1")
    for _ in range(2):
        record_produced(KEY + "e1", [Use(version.pk, node_id="n0", variable="o0", via=Via.OUTPUT)], at=START)
        record_started(KEY + "e1", kind=LinkKind.TRIGGER, source="trigger:7", at=START, detail={"version_id": 3})
    assert VersionEdge.objects.count() == 1
    assert [(link.source, link.detail) for link in started_by(KEY + "e1")] == [("trigger:7", {"version_id": 3})]
    assert [link.execution_key for link in started_from("trigger:7")] == [KEY + "e1"]
    assert ExecutionLink.objects.count() == 1


@pytest.mark.django_db
def test_it_records_many_uses_in_one_query() -> None:
    versions = [make(f"a{n}", f"e{n}") for n in range(5)]
    with CaptureQueriesContext(connection) as queries:
        record_consumed(KEY + "e9", [Use(version.pk) for version in versions], at=START)
    assert len([q for q in queries if "INSERT" in q["sql"]]) == 1
    assert len(versions_of(KEY + "e9")) == 5


@pytest.mark.django_db
def test_one_hop_shows_producers_consumers_and_their_artifacts() -> None:
    raw = make("raw", "e1")
    clean = make("clean", "e2", of=[raw])
    record_consumed(KEY + "e2", [Use(raw.pk, node_id="n0", variable="x")], at=START)  # handed on to a node
    model = make("model", "e3", of=[clean])
    report = make("report", "e3")  # another output of the same execution
    record_consumed(KEY + "e4", [Use(clean.pk, variable="x", via=Via.OVERRIDE)], at=START)
    with CaptureQueriesContext(connection) as queries:
        hop = one_hop(clean)
    assert len(queries) == 4
    assert [(step.execution_key, [edge.version for edge in step.others]) for step in hop.producers] == [
        (KEY + "e2", [raw])
    ]
    consumers = {step.execution_key: {edge.version for edge in step.others} for step in hop.consumers}
    assert consumers == {KEY + "e3": {model, report}, KEY + "e4": set()}
    assert not hop.truncated


@pytest.mark.django_db
def test_it_follows_ancestry_and_impact_through_any_depth() -> None:
    raw = make("raw", "e1")
    clean = make("clean", "e2", of=[raw])
    model = make("model", "e3", of=[clean])
    other = make("other", "e9")
    deployed = make("deployment", "e4", of=[model])
    assert [(v, depth) for v, depth in ancestry(deployed).relatives()] == [(model, 1), (clean, 2), (raw, 3)]
    assert [(v, depth) for v, depth in impact(raw).relatives()] == [(clean, 1), (model, 2), (deployed, 3)]
    assert [v for v, _ in ancestry(deployed, max_depth=1).relatives()] == [model]
    assert ancestry(deployed, limit=2).truncated
    assert other not in ancestry(deployed).versions.values()


@pytest.mark.django_db
def test_what_later_nodes_made_of_an_earlier_output_is_no_circle() -> None:
    first = make("first", "e1")
    second = make("second", "e1", of=[first])
    assert [v for v, _ in ancestry(second).relatives()] == [first]
    assert ancestry(first).relatives() == []
    assert [v for v, _ in impact(first).relatives()] == [second]


@pytest.mark.django_db
def test_a_version_that_carries_the_data_of_another_descends_from_it() -> None:
    published = publish_output(FlyteArtifact(name="model"), 1, execution="e1")
    approved = publish_output(
        FlyteArtifact(name="approved"), published.values.literals["o0"], execution="e2", node_id="end-node"
    ).versions[0][1]
    assert [v for v, _ in ancestry(approved).relatives()] == [published.versions[0][1]]
    assert [v for v, _ in impact(published.versions[0][1]).relatives()] == [approved]


@pytest.mark.django_db
def test_it_says_what_a_model_was_trained_on() -> None:
    raw = make("raw", "e1", kind=2)
    features = make("features", "e2", of=[raw], kind=2)
    settings = make("settings", "e3")
    model = make("model", "e4", of=[features, settings], kind=1)
    assert trained_on(model) == [(features, 1), (raw, 2)]


@pytest.mark.django_db
def test_it_says_what_is_stale_and_why() -> None:
    raw = make("raw", "e1")
    clean = make("clean", "e2", of=[raw])
    model = make("model", "e3", of=[clean])
    assert staleness(model) == []
    newer = make("raw", "e5", minute=5)
    (stale,) = staleness(model)
    assert (stale.used, stale.newer, stale.depth) == (raw, newer, 2)


@pytest.mark.django_db
def test_a_chain_of_one_artifact_is_not_made_stale_by_itself() -> None:
    first = make("prime", "e1")
    second = make("prime", "e2", of=[first], minute=1)
    assert staleness(second) == []


@pytest.mark.django_db
def test_it_compares_two_ancestries() -> None:
    common = make("settings", "e0")
    old, new = make("raw", "e1"), make("raw", "e2")
    first, second = make("model", "e3", of=[common, old]), make("model", "e4", of=[common, new])
    (change,) = compare_ancestries(first, second)
    assert (change.artifact, change.only_first, change.only_second) == (KEY + "raw", [old], [new])


@pytest.mark.django_db
def test_thousands_of_ancestors_are_found_at_once() -> None:
    """One query to walk and two to fetch, whatever the depth. The bound only tells linear from quadratic."""
    artifact = Artifact.objects.create(project="p", domain="d", name="prime")
    versions = ArtifactVersion.objects.bulk_create(
        ArtifactVersion(
            artifact=artifact, version=f"v{n}", kind="value", literal=b"", literal_type=b"", created_at=START
        )
        for n in range(5000)
    )
    VersionEdge.objects.bulk_create(
        VersionEdge(version=version, execution_key=f"e{n + step}", role=role, via="query", at=START)
        for n, version in enumerate(versions)
        for step, role in ((0, "produced"), (1, "consumed"))
    )
    with CaptureQueriesContext(connection) as queries:
        begin = time.monotonic()
        reached = ancestry(versions[-1], max_depth=10_000)
        took = time.monotonic() - begin
    assert len(reached.versions) == 5000 and not reached.truncated
    assert len(queries) == 3
    assert took < 30


links = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from("abcde"), st.sampled_from(["produced", "consumed"])), max_size=40
)


@given(links, st.integers(0, 12), st.sampled_from(["upstream", "downstream"]))
def test_reaching_ends_and_has_no_circles(found: list[tuple[int, str, str]], start: int, direction: str) -> None:
    graph = reach(start, origins(Link(*one) for one in found), direction, max_depth=99)  # type: ignore[arg-type]
    assert graph.depths[start] == 0
    assert all(step.source < step.target for step in graph.steps)
    for version, depth in graph.depths.items():
        nearer = [
            s.target if direction == "upstream" else s.source
            for s in graph.steps
            if (s.source if direction == "upstream" else s.target) == version
        ]
        assert depth == 0 or min(graph.depths[one] for one in nearer) == depth - 1


def test_it_exports_names_safely() -> None:
    graph = reach(2, [Origin(1, 2, "p/d/e")], "upstream", max_depth=9)
    names = {1: 'a"]; evil', 2: "b\\"}
    assert 'v1 [label="a\\"]; evil"]' in to_dot(graph, names) and 'v2 [label="b\\\\"]' in to_dot(graph, names)
    assert 'v1["a#34;#93;#59; evil"]' in to_mermaid(graph, names)
    assert 'v1 -- "p/d/e" --> v2' in to_mermaid(graph, names)
