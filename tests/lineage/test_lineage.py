from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flytekit.core.artifact import Artifact as FlyteArtifact
from hypothesis import given
from hypothesis import strategies as st

from artifacts.models import Artifact, ArtifactVersion
from lineage.actions.record import Use, record_consumed, record_produced, record_started
from lineage.graph import reach, to_dot, to_mermaid
from lineage.models import Derivation, ExecutionLink, LinkKind, VersionEdge, Via
from lineage.queries import one_hop, started_by, started_from, versions_of
from lineage.walks import VersionNode, ancestry, compare_ancestries, impact, staleness, trained_on
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
    sources = tuple(one.pk for one in of or [])
    use = Use(version.pk, node_id="n0", variable="o0", via=Via.OUTPUT, sources=sources)
    record_produced(KEY + execution, [use], at=START)
    return version


def ids(found: list[tuple[VersionNode, int]]) -> list[tuple[int, int]]:
    return [(one.pk, depth) for one, depth in found]


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
    make("report", "e3")  # another output of the same execution, not made of it
    record_consumed(KEY + "e4", [Use(clean.pk, variable="x", via=Via.OVERRIDE)], at=START)
    with CaptureQueriesContext(connection) as queries:
        hop = one_hop(clean)
    assert len(queries) == 3
    assert [(step.execution_key, step.others) for step in hop.producers] == [(KEY + "e2", [raw])]
    consumers = {step.execution_key: step.others for step in hop.consumers}
    assert consumers == {KEY + "e3": [model], KEY + "e4": []}
    assert not hop.truncated


@pytest.mark.django_db
def test_it_follows_ancestry_and_impact_through_any_depth() -> None:
    raw = make("raw", "e1")
    clean = make("clean", "e2", of=[raw])
    model = make("model", "e3", of=[clean])
    other = make("other", "e9")
    deployed = make("deployment", "e4", of=[model])
    assert ids(ancestry(deployed.pk).relatives()) == [(model.pk, 1), (clean.pk, 2), (raw.pk, 3)]
    assert ids(impact(raw.pk).relatives()) == [(clean.pk, 1), (model.pk, 2), (deployed.pk, 3)]
    assert ids(ancestry(deployed.pk, max_depth=1).relatives()) == [(model.pk, 1)]
    assert not ancestry(deployed.pk, max_depth=1).truncated
    assert ancestry(deployed.pk, limit=2).truncated
    assert other.pk not in ancestry(deployed.pk).versions


@pytest.mark.django_db
def test_a_version_never_descends_from_a_younger_or_unknown_one() -> None:
    first = make("first", "e1")
    second = make("second", "e1", of=[first])
    record_produced(KEY + "e1", [Use(first.pk, via=Via.OUTPUT, sources=(first.pk, second.pk, 10**17))], at=START)
    record_consumed(KEY + "e1", [Use(10**17)], at=START)
    assert list(Derivation.objects.values_list("source_id", "target_id")) == [(first.pk, second.pk)]
    assert not VersionEdge.objects.filter(version_id=10**17).exists()


@pytest.mark.django_db
def test_it_says_what_a_model_was_trained_on() -> None:
    raw = make("raw", "e1", kind=2)
    features = make("features", "e2", of=[raw], kind=2)
    settings = make("settings", "e3")
    model = make("model", "e4", of=[features, settings], kind=1)
    assert ids(trained_on(model.pk)) == [(features.pk, 1), (raw.pk, 2)]


@pytest.mark.django_db
def test_it_says_what_is_stale_and_why() -> None:
    raw = make("raw", "e1")
    clean = make("clean", "e2", of=[raw])
    model = make("model", "e3", of=[clean])
    assert staleness(model.pk) == []
    newer = make("raw", "e5", minute=5)
    (stale,) = staleness(model.pk)
    assert (stale.used.pk, stale.newer.pk, stale.depth) == (raw.pk, newer.pk, 2)


@pytest.mark.django_db
def test_a_chain_of_one_artifact_is_not_made_stale_by_itself() -> None:
    first = make("prime", "e1")
    second = make("prime", "e2", of=[first], minute=1)
    assert staleness(second.pk) == []


@pytest.mark.django_db
def test_it_compares_two_ancestries() -> None:
    common = make("settings", "e0")
    old, new = make("raw", "e1"), make("raw", "e2")
    first, second = make("model", "e3", of=[common, old]), make("model", "e4", of=[common, new])
    (change,) = compare_ancestries(first, second)
    assert change.artifact == KEY + "raw"
    assert [one.pk for one in change.only_first] == [old.pk] and [one.pk for one in change.only_second] == [new.pk]


def many(count: int) -> list[ArtifactVersion]:
    artifact = Artifact.objects.create(project="p", domain="d", name="prime")
    return ArtifactVersion.objects.bulk_create(
        ArtifactVersion(
            artifact=artifact, version=f"v{n}", kind="value", literal=b"", literal_type=b"", created_at=START
        )
        for n in range(count)
    )


@pytest.mark.django_db
@pytest.mark.parametrize("parents", [(1,), (1, 2, 3, 50), (100, 101, 102, 103, 104, 105)])
def test_all_ancestors_are_found_with_three_queries(parents: tuple[int, ...]) -> None:
    """One to walk and two to fetch, whatever the shape."""
    versions = many(1_500)
    Derivation.objects.bulk_create(
        Derivation(source=versions[n - back], target=version)
        for n, version in enumerate(versions)
        for back in {min(back, n) for back in parents} - {0}
    )
    with CaptureQueriesContext(connection) as queries:
        reached = ancestry(versions[-1].pk)
    assert not reached.truncated and len(reached.versions) > 500
    assert len(queries) == 3
    assert len(ancestry(versions[-1].pk, max_depth=3).versions) <= 1 + 6 + 36 + 216


steps = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda one: one[0] < one[1]), max_size=40)


@given(steps, st.integers(0, 12), st.sampled_from(["upstream", "downstream"]))
def test_reaching_finds_the_shortest_way_to_each(found: list[tuple[int, int]], start: int, direction: str) -> None:
    graph = reach(start, found, direction, max_depth=99)  # type: ignore[arg-type]
    assert graph.depths[start] == 0
    for version, depth in graph.depths.items():
        nearer = [
            s[1] if direction == "upstream" else s[0]
            for s in graph.steps
            if (s[0] if direction == "upstream" else s[1]) == version
        ]
        assert depth == 0 or min(graph.depths[one] for one in nearer) == depth - 1


def test_it_exports_names_safely() -> None:
    names = {1: 'a"]; evil', 2: "b\\"}
    steps = [(1, 2, "p/d/e")]
    assert 'v1 [label="a\\"]; evil"]' in to_dot(names, steps) and 'v2 [label="b\\\\"]' in to_dot(names, steps)
    assert 'v1["a#34;#93;#59; evil"]' in to_mermaid(names, steps)
    assert 'v1 -- "p/d/e" --> v2' in to_mermaid(names, steps)
    assert "v1 --> v2" in to_mermaid(names, [(1, 2, "")]) and "v1 -> v2;" in to_dot(names, [(1, 2, "")])
