from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flyteidl.core import literals_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity, Inputs

from artifacts import literals
from artifacts.actions.aliases import move_alias
from artifacts.actions.publish import Publication, publish
from artifacts.exceptions import AlreadyExists, InvalidArgument
from artifacts.models import Artifact, ArtifactVersion, Kind, Partition
from artifacts.partitions import literal_as_text
from artifacts.store import store
from tests.artifacts.publishing import (
    INT,
    START,
    at_run_time,
    card_metadata,
    integer,
    moment,
    publish_output,
    source,
    text,
    variable,
)

REGION = FlyteArtifact(name="ml-dataset", partition_keys=["region"])
HOURLY = FlyteArtifact(name="ticks", time_partitioned=True, time_partition_granularity=Granularity.HOUR)


@pytest.mark.django_db
def test_it_publishes_a_version_with_its_source() -> None:
    published = publish_output(FlyteArtifact(name="prime"), 7)
    version = published.versions[0][1]
    assert (version.artifact.key, version.version) == (("flytesnacks", "development", "prime"), "e1.n0.0.o0")
    assert (version.execution_key, version.node_id, version.attempt, version.output) == (
        "flytesnacks/development/e1",
        "n0",
        0,
        "o0",
    )
    assert (version.kind, version.producer, version.created_by) == (Kind.VALUE, "task:produce@v1", "ada")
    assert literals_pb2.Literal.FromString(bytes(version.literal)) == integer(7)
    assert literals.carried(published.values.literals["o0"]) == version.pk


@pytest.mark.django_db
def test_it_leaves_outputs_without_annotation_alone() -> None:
    from flyteidl.core import interface_pb2

    from artifacts.actions.publish import publish_outputs

    values = literals_pb2.LiteralMap(literals={"o0": integer(1)})
    outputs = interface_pb2.VariableMap(variables={"o0": interface_pb2.Variable(type=INT)})
    published = publish_outputs(
        outputs=outputs, values=values, inputs=literals_pb2.LiteralMap(), source=source(), at=START
    )
    assert published.values == values
    assert not Artifact.objects.exists()


@pytest.mark.django_db
def test_it_fills_partitions_from_constants_inputs_and_run_time() -> None:
    artifact = FlyteArtifact(name="sales", partition_keys=["country", "shop", "run"])
    spec = artifact(country="NL", shop=Inputs.shop)
    literal = integer(1, {"_uap": at_run_time({"run": "42"})})
    version = publish_output(spec, literal, inputs={"shop": integer(12)}).versions[0][1]
    assert version.partitions == {"country": "NL", "shop": "12", "run": "42"}
    assert Partition.objects.get().values == version.partitions


@pytest.mark.django_db
def test_it_truncates_time_partitions_bound_to_an_input() -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=timezone.utc)
    version = publish_output(HOURLY(time_partition=Inputs.at), 1, inputs={"at": moment(at)}).versions[0][1]
    assert version.time_partition == datetime(2026, 2, 3, 4, tzinfo=timezone.utc)
    assert version.artifact.granularity == Granularity.HOUR


@pytest.mark.django_db
def test_it_takes_the_granularity_of_a_run_time_value_from_the_value() -> None:
    at = datetime(2026, 2, 3, 4, 5, tzinfo=timezone.utc)
    literal = integer(1, {"_uap": at_run_time(time=at, granularity=Granularity.HOUR)})
    version = publish_output(HOURLY, literal).versions[0][1]
    assert version.time_partition == datetime(2026, 2, 3, 4, tzinfo=timezone.utc)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (None, "without partition region"),
        ({"region": ""}, "without partition region"),
        ({"region": "SEA", "shop": "1"}, "has no partition 'shop'; its partition keys: region"),
        ({"region": "x" * 10_000}, "10000 characters, at most 1024"),
        ({"region": "a\x00b"}, "NUL"),
    ],
)
def test_it_refuses_partitions_that_do_not_fit(runtime: dict[str, str] | None, message: str) -> None:
    literal = integer(1, {"_uap": at_run_time(runtime)} if runtime else None)
    with pytest.raises(InvalidArgument, match=message):
        publish_output(REGION, literal)
    assert not Artifact.objects.exists()


@pytest.mark.django_db
def test_it_refuses_a_run_time_value_that_contradicts_the_annotation() -> None:
    literal = integer(1, {"_uap": at_run_time({"region": "LAX"})})
    with pytest.raises(InvalidArgument, match="declared as 'SEA' but create_from gave 'LAX'"):
        publish_output(REGION(region="SEA"), literal)


@pytest.mark.django_db
@pytest.mark.parametrize(("bound", "said"), [(START, str(START)), (True, "True"), (2.0, "2.0"), ("SEA", "SEA")])
def test_it_takes_what_create_from_repeats_of_a_bound_input(bound: object, said: str) -> None:
    kinds = {datetime: moment, bool: boolean, float: number, str: text}
    literal = integer(1, {"_uap": at_run_time({"region": said})})
    inputs = {"at": kinds[type(bound)](bound)}  # type: ignore[operator]
    version = publish_output(REGION(region=Inputs.at), literal, inputs=inputs).versions[0][1]
    assert version.partitions == {"region": literal_as_text(inputs["at"], name="at")}


@pytest.mark.django_db
def test_it_refuses_an_input_that_is_no_simple_value() -> None:
    with pytest.raises(InvalidArgument, match="input 'region' cannot be a partition value"):
        publish_output(REGION(region=Inputs.region), 1, inputs={"region": literals_pb2.Literal()})


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", ["São Paulo", "o'brien", '"quoted"', "%s", "a=b&c", "<script>", "\u202e", "..", "../../x"]
)
def test_it_keeps_strange_partition_values_as_they_are(value: str) -> None:
    version = publish_output(REGION(region=Inputs.r), 1, inputs={"r": text(value)}).versions[0][1]
    version.refresh_from_db()
    assert version.partitions == {"region": value}


@pytest.mark.django_db
def test_it_refuses_other_keys_than_the_first_version_had() -> None:
    publish_output(REGION(region="SEA"))
    other = FlyteArtifact(name="ml-dataset", partition_keys=["region", "split"])
    with pytest.raises(InvalidArgument, match=r"keys region in flytesnacks/development, not with region, split"):
        publish_output(other(region="SEA", split="train"), execution="e2")
    with pytest.raises(InvalidArgument, match="time partitions by nothing"):
        timed = FlyteArtifact(name="ml-dataset", partition_keys=["region"], time_partitioned=True)
        publish_output(timed(region="SEA", time_partition=START), execution="e2")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a/b", "a@b", " a", "a?b", "x" * 256, "a\nb", "a:b", ".", ".."])
def test_it_refuses_names_that_no_address_could_hold(name: str) -> None:
    with pytest.raises(InvalidArgument, match="is not an artifact name"):
        publish_output(FlyteArtifact(name=name))


@pytest.mark.django_db
def test_it_publishes_the_same_report_once() -> None:
    first = publish_output(REGION(region="SEA"), 7).versions[0][1]
    again = publish_output(REGION(region="SEA"), 7)
    assert again.versions[0][1].pk == first.pk
    assert literals.carried(again.values.literals["o0"]) == first.pk
    assert ArtifactVersion.objects.count() == 1


@pytest.mark.django_db
def test_it_refuses_another_value_under_the_same_identity() -> None:
    publish_output(FlyteArtifact(name="prime"), 7)
    with pytest.raises(AlreadyExists, match="already published with a different value"):
        publish_output(FlyteArtifact(name="prime"), 11)


@pytest.mark.django_db
def test_it_takes_card_metrics_and_attributes_from_the_literal() -> None:
    metadata = {**card_metadata("# Good model"), "_um": '{"auc": 0.9}', "framework": "sklearn"}
    published = publish_output(FlyteArtifact(name="ml-model"), integer(1, metadata))
    version = published.versions[0][1]
    assert (version.card, version.card_format, version.kind) == ("# Good model", "markdown", Kind.MODEL)
    assert (version.metrics, version.metadata) == ({"auc": 0.9}, {"framework": "sklearn"})
    assert set(published.values.literals["o0"].metadata) == {"_ua", "framework"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("metadata", "is_mounted"),
    [
        ({"mounted": "yes"}, True),  # as a declared artifact marks it
        ({"_uat": '{"mounted": "yes"}'}, True),
        ({"mounted": "yes", "_uat": '{"mounted": "no"}'}, False),  # this version's own word
        ({"mounted": "no"}, False),
        ({}, False),
    ],
)
def test_a_version_that_is_mounted_says_so_to_whatever_takes_it_in(metadata: dict[str, str], is_mounted: bool) -> None:
    published = publish_output(FlyteArtifact(name="pictures"), integer(1, metadata))
    ((_, version),) = published.versions
    kept = literals_pb2.Literal.FromString(bytes(version.literal))
    for literal in (kept, published.values.literals["o0"]):
        assert (literal.metadata.get("mounted") == "yes") is is_mounted
    assert (version.metadata.get("mounted") == "yes") is is_mounted


@pytest.mark.django_db
@pytest.mark.parametrize(
    "metadata",
    [
        {"_uc": "not base64!"},
        {"_uap": "%%%"},
        {"_um": "[1]"},
        {"_um": '{"a": "b"}'},
        {"_um": '{"a": 1%s}' % ("0" * 400)},
        {"_uc": "/w=="},
        card_metadata("a\0b"),
        {"framework": "to\0rch"},
        {"\0": "x"},
    ],
)
def test_it_refuses_malformed_metadata(metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        publish_output(FlyteArtifact(name="prime"), integer(1, metadata))
    assert not ArtifactVersion.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "literal",
    [
        literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(uri="s3://a\0b"))),
        literals_pb2.Literal(offloaded_metadata=literals_pb2.LiteralOffloadedMetadata(uri="s3://a\0b")),
        literals_pb2.Literal(hash="a\0b"),
    ],
)
def test_it_refuses_text_that_the_database_cannot_hold(literal: literals_pb2.Literal) -> None:
    with pytest.raises(InvalidArgument, match="holds a NUL character"):
        publish_output(FlyteArtifact(name="data"), literal)


@pytest.mark.django_db
@pytest.mark.parametrize("number", [99, -1])
def test_it_refuses_granularities_that_there_are_not(number: int) -> None:
    ticks = FlyteArtifact(name="ticks", time_partitioned=True)
    with pytest.raises(InvalidArgument, match=f"{number} is no granularity of time partitions"):
        publish_output(ticks, integer(1, {"_uap": at_run_time(time=START, granularity=number)}))


@pytest.mark.django_db
@pytest.mark.parametrize("project", ["p" * 65, "a\0b"])
def test_it_refuses_projects_that_there_cannot_be(project: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a project"):
        publish_output(FlyteArtifact(name="data", project=project, domain="development"))


@pytest.mark.django_db
def test_it_records_that_a_workflow_output_carries_the_data_of_a_version() -> None:
    model = publish_output(FlyteArtifact(name="ml-model"), integer(1, card_metadata("# Card")))
    approved = publish_output(
        FlyteArtifact(name="approved-ml-model"), model.values.literals["o0"], execution="e2", node_id="end-node"
    ).versions[0][1]
    assert approved.same_data_as == model.versions[0][1]
    assert approved.version == "e2.end-node.0.o0"
    assert approved.card == "# Card"
    assert bytes(approved.literal) == bytes(model.versions[0][1].literal)


@pytest.mark.django_db
def test_it_takes_few_queries() -> None:
    publish_output(REGION(region="SEA"), execution="warm")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        publish_output(REGION(region="SEA"), execution="e2")
    statements = [q["sql"] for q in queries if "artifacts_" in q["sql"]]
    assert len(statements) == 4, statements


@pytest.mark.django_db
def test_it_publishes_from_outside() -> None:
    publication = Publication(
        project="p",
        domain="d",
        name="weights",
        version="2026-05",
        literal=integer(3),
        literal_type=INT,
        partitions={"region": "SEA"},
        kind=Kind.MODEL,
        card="# Weights",
        metrics={"auc": 1},
        description="From a laptop",
    )
    version = publish(publication, actor="ada")
    assert (version.version, version.kind, version.execution_key) == ("2026-05", Kind.MODEL, "")
    assert Artifact.objects.get().description == "From a laptop"
    assert publish(publication, actor="bob").pk == version.pk


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["a b", "../x", "x" * 500, "a/b"])
def test_it_refuses_versions_that_no_address_could_hold(version: str) -> None:
    with pytest.raises(InvalidArgument):
        publish(Publication("p", "d", "weights", integer(3), INT, version=version), actor="ada")


@pytest.mark.django_db
def test_it_asks_for_the_time_of_a_time_partitioned_artifact() -> None:
    publish(Publication("p", "d", "ticks", integer(1), INT, time_partition=START), actor="ada")
    with pytest.raises(InvalidArgument, match="by day in p/d, not by nothing"):
        publish(Publication("p", "d", "ticks", integer(1), INT), actor="ada")


@pytest.mark.django_db(transaction=True)
def test_it_makes_one_version_of_two_publications_at_once() -> None:
    found: list[int] = []
    together = threading.Barrier(2)

    def work() -> None:
        together.wait()
        found.append(publish(Publication("p", "d", "weights", integer(3), INT, version="v1"), actor="ada").pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1]


def test_it_names_versions_published_into_another_project_apart() -> None:
    assert source().version_of("o0", ("flytesnacks", "development", "x")) == "e1.n0.0.o0"
    assert source().version_of("o0", ("other", "development", "x")) == "flytesnacks.development.e1.n0.0.o0"
    assert len(source(node_id="n" * 600).version_of("o0", ("flytesnacks", "development", "x"))) == 400
    assert variable(FlyteArtifact(name="x")).artifact_partial_id.artifact_key.name == "x"


def boolean(value: bool) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=value)))


def number(value: float) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(float_value=value)))


@pytest.mark.django_db
def test_it_records_the_size_of_what_a_task_wrote(object_store: str) -> None:
    folder = f"{store().root}/raw/flytesnacks/development/e1/n0"
    for name in ("one/a", "one/b", "two"):
        store().put(f"{folder}/{name}", b"12345")
    files = [literals_pb2.Blob(uri=f"{folder}/{name}") for name in ("one", "two")]
    blobs = [literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=blob)) for blob in files]
    listed = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=blobs))
    elsewhere = literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(uri="s3://other/bucket")))
    sizes = [
        publish_output(FlyteArtifact(name=f"sized-{number}"), value).versions[0][1].size_bytes
        for number, value in enumerate((*blobs, listed, elsewhere, integer(1)))
    ]
    assert sizes == [10, 5, 15, None, None]


@pytest.mark.django_db
def test_no_output_of_a_task_becomes_a_version_that_is_called_as_an_alias_is() -> None:
    """Who chooses the name of an execution chooses its versions' as well."""
    named = publish_output(FlyteArtifact(name="prime"), 7).versions[0][1]
    move_alias(named, "best.n0.0.o0", actor="ada")
    with pytest.raises(AlreadyExists, match=r"'best\.n0\.0\.o0' is an alias of prime"):
        publish_output(FlyteArtifact(name="prime"), 8, execution="best")
    assert list(ArtifactVersion.objects.values_list("version", flat=True)) == ["e1.n0.0.o0"]
    publish_output(FlyteArtifact(name="other"), 8, execution="best")
    publish_output(FlyteArtifact(name="prime"), 7)
