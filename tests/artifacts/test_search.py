from __future__ import annotations

import json
from datetime import timedelta

import pytest
from flytekit.core.artifact import Artifact as FlyteArtifact
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import CausewayError, InvalidArgument
from artifacts.models import Artifact, ArtifactVersion
from artifacts.search import filter_of, parse, read_search, search, toggled
from artifacts.search.facets import FACETED
from artifacts.search.language import Condition
from tests.artifacts.publishing import START, card_metadata, integer, publish_output, published


def find(text: str) -> list[ArtifactVersion]:
    return list(search(text, ArtifactVersion.objects.order_by("pk")))


@pytest.fixture
def shelf(db: None) -> dict[str, ArtifactVersion]:
    card = card_metadata("# Drift report\n\nTrained on Köln data, see auto_backtest.", kind=1)
    metadata = {**card, "_um": '{"auc": 0.91}', "framework": "sklearn"}
    model = publish_output(
        FlyteArtifact(name="ml-model"),
        integer(1, metadata),
        producer="task:archipelago.ml_team.train@v1",
        at=START + timedelta(days=1),
    ).versions[0][1]
    weak = publish_output(
        FlyteArtifact(name="ml-model"),
        integer(2, {"_um": '{"auc": 0.7}'}),
        execution="e2",
        at=START + timedelta(days=2),
    ).versions[0][1]
    move_alias(model, "champion", actor="ada")
    return {
        "sea": published("ml-dataset", 1, region="SEA"),
        "la": published("ml-dataset", 2, region="Los Angeles"),
        "model": model,
        "weak": weak,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("removed:yes", ["gone"]),
        ("Removed:yes", ["gone"]),
        ("removed:any", ["gone", "there"]),
        ("", ["there"]),
        ("removed=no", ["there"]),  # a partition key that is called so
        ("partition.removed=no", ["there"]),
    ],
)
@pytest.mark.django_db
def test_removed_versions_are_left_out_unless_the_search_asks_for_them(text: str, expected: list[str]) -> None:
    made = {"gone": published("ml-dataset", 1, removed="no"), "there": published("ml-dataset", 2, removed="no")}
    ArtifactVersion.objects.filter(pk=made["gone"].pk).update(removed_at=START)
    assert find(text) == [made[name] for name in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["model", "weak", "sea", "la"]),
        ("drift", ["model"]),
        ("Drift köln", ["model"]),
        ("backtest", ["model"]),
        ("drif", ["model"]),
        ("drift dataset", []),
        ("dataset", ["sea", "la"]),
        ("angeles", ["la"]),
        ("region=SEA", ["sea"]),
        ('region="Los Angeles"', ["la"]),
        ("region!=SEA", ["la"]),
        ("region=sea", []),
        ("kind:model", ["model"]),
        ("kind:value name:ml-model", ["weak"]),
        ("name:ml-model", ["model", "weak"]),
        ("name:data", ["sea", "la"]),
        ("by:train", ["model"]),
        ("by:ml_team.train", ["model"]),
        ("by:archipelago.ml_team.train", ["model"]),
        ("by:team", []),
        ("by:produce", ["weak", "sea", "la"]),
        ("metric.auc>0.9", ["model"]),
        ("metric.auc<=0.7", ["weak"]),
        ("metric.loss>0", []),
        ("alias:champion", ["model"]),
        ("alias:latest", ["weak", "la"]),
        ("created>2026-05-18", ["weak"]),
        ("created>=2026-05-18", ["model", "weak"]),
        ("created=2026-05-18", ["model"]),
        ("created<2026-05-18", ["sea", "la"]),
        ("created<=2026-05-18T12", ["model", "sea", "la"]),
        ("execution:e2", ["weak"]),
        ("execution:flytesnacks/development/e2", ["weak"]),
        ("version:e2.n0.0.o0", ["weak"]),
        ("project:flytesnacks domain:staging", []),
        ("sklearn", ["model"]),
        ("metadata.framework=sklearn", ["model"]),
        ("metadata.framework:sklearn", ["model"]),
        ("metadata.framework=sk", []),
        ("tag:champion", ["model"]),
        ("partition.region=SEA", ["sea"]),
        ("region=SEA region=LAX", ["sea"]),
        ('region=SEA region="Los Angeles"', ["sea", "la"]),
        ("kind:model kind:value name:ml-model", ["model", "weak"]),
        ("name:ml-model -kind:model", ["weak"]),
        ("-drift", ["weak", "sea", "la"]),
        ('-"Los Angeles" dataset', ["sea"]),
        ("-region=SEA", ["la"]),
        ("-alias:champion name:ml-model", ["weak"]),
        ("-metric.auc>0.8", ["weak", "sea", "la"]),
        ("created>2026-05-17 created<2026-05-19", ["model"]),
        ("auto_back", ["model"]),
        ("sort:created-asc drift", ["model"]),
    ],
)
def test_it_finds(shelf: dict[str, ArtifactVersion], text: str, expected: list[str]) -> None:
    assert find(text) == sorted((shelf[name] for name in expected), key=lambda version: version.pk)


def test_it_looks_in_descriptions(shelf: dict[str, ArtifactVersion]) -> None:
    Artifact.objects.filter(name="ml-dataset").update(description="Wine, by grape")
    assert find("grape") == [shelf["sea"], shelf["la"]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour:red", "there is no filter 'colour:' .in 'colour:red'.; filters: name:, project:"),
        ("-colour:red", "in '-colour:red'"),
        ("sort:size", "'sort:size' sorts by nothing: write sort:created or sort:metric.<name>"),
        ("sort:metric.", "sorts by nothing"),
        ("region=", "'region=' needs a value"),
        ("created>9999-12-31", "leaves the calendar"),
        ("kind:cake", "there is no kind 'cake'; kinds: model, dataset"),
        ("created>yesterday", "'yesterday' is not a time"),
        ("metric.auc>high", "compared with a number"),
        ("size>3", "compares nothing"),
        ("name:", "needs a value"),
        ("x" * 3000, "at most 2000"),
        ("a\x00b", "NUL"),
    ],
)
def test_it_explains_filters_without_sense(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        find(text)


def test_it_counts_facets(shelf: dict[str, ArtifactVersion]) -> None:
    found = read_search("").facets(ArtifactVersion.objects.all())
    assert (found.counted, found.more) == (4, False)
    assert [tuple(facet) for facet in found.values["kind"]] == [("value", 3), ("model", 1)]
    assert [tuple(facet) for facet in found.values["name"]] == [("ml-dataset", 2), ("ml-model", 2)]
    assert [tuple(facet) for facet in found.values["by"]] == [("produce", 3), ("archipelago.ml_team.train", 1)]
    assert [tuple(facet) for facet in found.values["partition.region"]] == [("Los Angeles", 1), ("SEA", 1)]


def test_a_busy_artifact_hides_no_others_from_the_facets(shelf: dict[str, ArtifactVersion]) -> None:
    busy = published("ml-dataset", 3, region="LAX")
    ArtifactVersion.objects.bulk_create(
        ArtifactVersion(
            artifact=busy.artifact,
            version=f"busy{number}",
            kind=busy.kind,
            partitions=busy.partitions,
            partition_digest=busy.partition_digest,
            created_at=busy.created_at + timedelta(days=3, seconds=number),
        )
        for number in range(FACETED)
    )
    search, rows, artifacts = read_search(""), ArtifactVersion.objects.all(), Artifact.objects.all()
    assert [tuple(facet) for facet in search.facets(rows).values["name"]] == [("ml-dataset", FACETED)]  # the newest

    found = search.facets(rows, artifacts)
    told = {
        label: {one.value: found.spell(label, one.versions) for one in found.values[label]} for label in found.whole
    }
    assert told["kind"] == {"value": f"{FACETED}+", "model": "1"}
    assert told["name"] == {"ml-dataset": f"{FACETED}+", "ml-model": "2"}
    assert told["partition.region"] == {"LAX": f"{FACETED}+", "SEA": "1", "Los Angeles": "1"}
    for label in found.whole:
        for value, versions in found.values[label]:
            assert min(len(find(filter_of(label, value))), FACETED + 1) == versions
    models = artifacts.filter(name="ml-model")
    assert "kind" not in search.facets(rows.filter(artifact__in=models), models).whole
    assert search.facets(rows, artifacts.filter(name="ml-dataset")).values["partition.region"]
    assert not read_search("kind:value").facets(rows, artifacts).whole


def test_a_facet_leads_to_what_it_counted(shelf: dict[str, ArtifactVersion]) -> None:
    found = read_search("").facets(ArtifactVersion.objects.all())
    for label, values in found.values.items():
        for value, versions in values:
            assert len(find(filter_of(label, value))) == versions, filter_of(label, value)


def test_a_facet_is_added_to_the_search_and_taken_out_again() -> None:
    assert toggled("drift", 'region="Los Angeles"') == 'drift region="Los Angeles"'
    assert toggled('drift region="Los Angeles" kind:model', 'region="Los Angeles"') == "drift kind:model"
    assert toggled("region=SEA", 'region="SEA"') == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["auc", "a.b", "val/auc", "eval loss", "f1@5", "a:b", "a<b", 'top "k"', "\\", "-asc", "é", "1st"]
)
def test_a_metric_of_any_name_is_searched_and_sorted_by(name: str) -> None:
    least, most = (
        publish_output(
            FlyteArtifact(name="ml-model"), integer(number, {"_um": json.dumps({name: number})}), execution=f"e{number}"
        ).versions[0][1]
        for number in (1, 2)
    )
    quoted = str(Condition(f"metric.{name}", ">", "1"))
    assert find(quoted) == [most]
    assert find(f"-{quoted}") == [least]
    for order in (f"metric.{name}-asc", f"metric.{name}-desc"):
        found = read_search(str(Condition("sort", ":", order))).page(ArtifactVersion.objects.all(), limit=5)
        assert found.rows == ([least, most] if order.endswith("-asc") else [most, least])


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ('metric."eval loss"<0.5', "metric.eval loss", "0.5"),
        ("metric.f1@5<0.5", "metric.f1@5", "0.5"),
        ('metadata."a \\"b\\""=x', 'metadata.a "b"', "x"),
        ('k="say \\"hi\\""', "k", 'say "hi"'),
        ('k="C:\\dir\\\\"', "k", "C:\\dir\\"),
        ('k="{\\"region\\": \\"SEA\\"}"', "k", '{"region": "SEA"}'),
        ('sort:metric."eval loss"-asc', "sort", "metric.eval loss-asc"),
        ("name:team/daily@2", "name", "team/daily@2"),
    ],
)
def test_quotes_hold_any_name_and_value(typed: str, key: str, value: str) -> None:
    assert [(one.key, one.value) for one in parse(typed)] == [(key, value)]


@pytest.mark.parametrize(
    "text",
    ['k="a"b', '"open', 'k="open', 'k=a"b"', "f1@5<0.5", "1a=b", 'k="{"region": "SEA"}"', 'metric."a"b>1'],
)
def test_what_cannot_be_read_is_refused_and_never_finds_nothing(text: str) -> None:
    with pytest.raises(InvalidArgument, match="in quotes|quotes in .* cannot be read"):
        parse(f"drift {text}")


NAMES = st.text(min_size=1, max_size=20).filter(lambda text: "\x00" not in text)
KEYS = st.sampled_from(["region", "name", "x.y"]) | st.builds(
    "{}.{}".format, st.sampled_from(["metric", "metadata", "partition"]), NAMES
)
CONDITIONS = st.builds(
    Condition, KEYS, st.sampled_from([":", "=", ">", ">=", "<", "<="]), NAMES, st.booleans()
) | st.builds(Condition, st.just(""), st.just(""), NAMES, st.booleans())


@given(st.lists(CONDITIONS, max_size=4))
def test_whatever_is_published_can_be_written_as_a_filter(conditions: list[Condition]) -> None:
    text = " ".join(map(str, conditions))
    assert parse(text) == conditions
    for condition in conditions:
        assert condition not in parse(toggled(text, str(condition)))


class TestAnything(TestCase):
    @settings(max_examples=150, deadline=None)
    @given(
        st.text(max_size=40)
        | st.lists(
            st.sampled_from(
                ["-", "sort:", "metric.a__b>1", "'", "\\", ":*", "&", "|", "!", "(", "by:", "a=", '"', "%", "_", "x"]
            )
        ).map("".join)
    )
    def test_whatever_is_typed_is_searched_or_explained(self, text: str) -> None:
        try:
            list(search(text, ArtifactVersion.objects.all()))
        except CausewayError as error:
            assert error.http_status == 400


def test_it_reads_words_and_filters() -> None:
    assert [tuple(condition) for condition in parse('drift "two words" region="a b" x>=1 -no -a=b a!=b -')] == [
        ("", "", "drift", False),
        ("", "", "two words", False),
        ("region", "=", "a b", False),
        ("x", ">=", "1", False),
        ("", "", "no", True),
        ("a", "=", "b", True),
        ("a", "=", "b", True),
        ("", "", "-", False),
    ]
