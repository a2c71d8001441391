from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from causeway import Artifact as OurArtifact
from causeway import start_of, wire
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity, Inputs, TimePartition
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from artifacts import queries
from artifacts.actions.aliases import move_alias
from artifacts.addresses import Address, address_of, parse_address
from artifacts.exceptions import InvalidArgument, NotFound, QueryUnresolved
from artifacts.models import Alias, Artifact, ArtifactVersion, Partition
from artifacts.partition_values import digest_of
from artifacts.queries import Resolution, find, get_version, matches, resolve_query, satisfies
from artifacts.wanted import Wanted
from tests.artifacts.publishing import START, at_run_time, integer, moment, publish_output, published, text

HERE = {"project": "flytesnacks", "domain": "development"}
DATASET = FlyteArtifact(name="ml-dataset", partition_keys=["region"])
SPLIT = FlyteArtifact(name="ml-dataset", partition_keys=["region", "split"])
TICKS = FlyteArtifact(name="ticks", time_partitioned=True, time_partition_granularity=Granularity.HOUR)


def resolve(query: artifact_id_pb2.ArtifactQuery, **over: object) -> Resolution:
    return resolve_query(query, **{**HERE, "inputs": {}, **over})  # type: ignore[arg-type]


def uri(text: str) -> artifact_id_pb2.ArtifactQuery:
    return artifact_id_pb2.ArtifactQuery(uri=text)


@pytest.mark.django_db
def test_it_finds_the_newest_version() -> None:
    published("prime", 2)
    newest = published("prime", 3)
    published("prime", 1)
    assert resolve(FlyteArtifact(name="prime").query().to_flyte_idl()) == (newest, "the newest version of prime")


@pytest.mark.django_db
def test_it_finds_the_newest_version_of_a_partition() -> None:
    sea = published("ml-dataset", 1, region="SEA")
    published("ml-dataset", 2, region="LAX")
    assert resolve(DATASET.query(region="SEA").to_flyte_idl()).version == sea
    bound = DATASET.query(region=Inputs.where).to_flyte_idl()
    assert (
        resolve(bound, inputs={"where": text("SEA")}).explanation == "the newest version of ml-dataset with region=SEA"
    )


@pytest.mark.django_db
def test_it_takes_keys_left_open_for_any_value() -> None:
    published("ml-dataset", 1, region="SEA")
    newest = published("ml-dataset", 2, region="LAX")
    assert resolve(DATASET.query().to_flyte_idl()).version == newest


@pytest.mark.django_db
def test_it_finds_rare_partitions_behind_many_versions_by_some_of_their_keys() -> None:
    wanted = published("ml-dataset", 1, region="SEA", split="test")
    artifact = wanted.artifact
    ArtifactVersion.objects.bulk_create(
        ArtifactVersion(
            artifact=artifact,
            version=f"v{n}",
            kind="value",
            literal=b"",
            literal_type=b"",
            partitions={"region": "LAX", "split": "train"},
            partition_digest="x",
            created_at=START + timedelta(hours=1 + n),
        )
        for n in range(250)
    )
    query = SPLIT.query(partitions={"region": "SEA", "split": ""}).to_flyte_idl()
    assert resolve(query).version == wanted
    frequent = SPLIT.query(partitions={"region": "LAX", "split": ""}).to_flyte_idl()
    assert resolve(frequent).version.version == "v249"


@pytest.mark.django_db
def test_it_says_which_values_were_seen() -> None:
    published("ml-dataset", 1, region="LAX")
    published("ml-dataset", 2, region="ATL")
    with pytest.raises(QueryUnresolved) as caught:
        resolve(DATASET.query(region="SEA").to_flyte_idl())
    assert caught.value.message == "ml-dataset has no version with region=SEA; regions seen: ATL, LAX"


@pytest.mark.django_db
def test_it_looks_for_seen_values_in_some_of_many_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        published("ml-dataset", number, region=f"R{number}")
    monkeypatch.setattr(queries, "SAMPLE", 4)
    with pytest.raises(QueryUnresolved) as refused, CaptureQueriesContext(connection) as captured:
        resolve(DATASET.query(region="SEA").to_flyte_idl())
    seen = refused.value.message.partition("regions seen: ")[2].split(", ")
    assert len(seen) == 4 and set(seen) < {f"R{number}" for number in range(6)}
    assert any("LIMIT 4" in query["sql"] for query in captured.captured_queries)
    assert resolve(DATASET.query(region="R5").to_flyte_idl()).version.partitions == {"region": "R5"}


@pytest.mark.django_db
def test_it_says_that_values_never_occurred_together() -> None:
    published("ml-dataset", 1, region="LAX", split="train")
    published("ml-dataset", 2, region="ATL", split="test")
    with pytest.raises(QueryUnresolved, match="each value occurs, but not together"):
        resolve(SPLIT.query(region="LAX", split="test").to_flyte_idl())


@pytest.mark.django_db
def test_it_says_where_else_an_artifact_exists() -> None:
    publish_output(FlyteArtifact(name="prime"), domain="staging", execution_key="flytesnacks/staging/e1")
    with pytest.raises(
        QueryUnresolved, match="no artifact 'prime' in flytesnacks/development; it exists in flytesnacks/staging"
    ):
        resolve(FlyteArtifact(name="prime").query().to_flyte_idl())
    publish_output(
        FlyteArtifact(name="prime"), domain="production", project="secret", execution_key="secret/production/e"
    )
    for may_read, told in (
        (None, "it exists in flytesnacks/staging"),
        (lambda project, domain: project == "secret", "it exists in secret/production"),
        (lambda project, domain: False, "there is no artifact 'prime' in flytesnacks/development"),
    ):
        with pytest.raises(QueryUnresolved, match=f"{told}$"):
            resolve(FlyteArtifact(name="prime").query().to_flyte_idl(), may_read=may_read)
    other = FlyteArtifact(name="prime").query(domain="staging").to_flyte_idl()
    assert resolve(other).version.artifact.domain == "staging"


@pytest.mark.django_db
def test_it_refuses_keys_that_the_artifact_does_not_have() -> None:
    published("ml-dataset", 1, region="SEA")
    shops = FlyteArtifact(name="ml-dataset", partition_keys=["shop"])
    with pytest.raises(InvalidArgument, match="ml-dataset has no partition shop; its partition keys: region"):
        resolve(shops.query(shop="1").to_flyte_idl())
    with pytest.raises(InvalidArgument, match="not time partitioned"):
        resolve(FlyteArtifact(name="ml-dataset", time_partitioned=True).query(time_partition=START).to_flyte_idl())


@pytest.mark.django_db
def test_it_truncates_the_wanted_time_as_the_artifact_does() -> None:
    literal = integer(1, {"_uap": at_run_time(time=START.replace(hour=3, minute=59), granularity=Granularity.HOUR)})
    version = publish_output(TICKS, literal).versions[0][1]
    wanted = START.replace(hour=3, minute=10)
    assert resolve(TICKS.query(time_partition=wanted).to_flyte_idl()).version == version
    bound = TICKS.query(time_partition=Inputs.at).to_flyte_idl()
    assert resolve(bound, inputs={"at": moment(wanted)}).version == version
    later = TimePartition(Inputs.at) - timedelta(days=1)
    assert resolve(TICKS.query(time_partition=later).to_flyte_idl(), inputs={"at": moment(wanted + timedelta(days=1))})
    day = TICKS.query(time_partition=start_of("day", Inputs.at) + timedelta(hours=3)).to_flyte_idl()
    assert resolve(day, inputs={"at": moment(wanted + timedelta(hours=20))}).version == version
    with pytest.raises(QueryUnresolved, match="time partitions seen: 2026-05-17T03:00:00Z to"):
        resolve(TICKS.query(time_partition=START).to_flyte_idl())


@pytest.mark.django_db
def test_it_finds_by_what_only_our_own_queries_ask() -> None:
    model = OurArtifact(name="ml-model", partition_keys=["region"])
    first, second = (published("ml-model", n, region="SEA") for n in (1, 2))
    move_alias(first, "champion", actor="ann")

    def found(inputs: Any = None, **asked: Any) -> ArtifactVersion:
        return resolve(model.query(**asked).to_flyte_idl(), inputs=inputs or {}).version

    assert found() == second
    assert found(alias="champion") == found(region="SEA", alias="champion") == first
    assert found(version=first.version) == first
    assert found(created_before=second.created_at) == first
    assert found({"then": moment(second.created_at)}, created_before=Inputs.then) == first
    with pytest.raises(QueryUnresolved, match="the version that 'champion' names of ml-model does not have region=LAX"):
        found(region="LAX", alias="champion")
    with pytest.raises(InvalidArgument, match="bound to input 'then', which has no value"):
        found(created_before=Inputs.then)


@pytest.mark.django_db
def test_a_query_may_ask_for_a_span_of_time() -> None:
    ticks = OurArtifact(name="ticks", time_partitioned=True, time_partition_granularity=Granularity.HOUR)
    for hour in (1, 2, 3):
        metadata = {"_uap": at_run_time(time=START.replace(hour=hour), granularity=Granularity.HOUR)}
        publish_output(ticks, integer(hour, metadata), execution=f"e{hour}", at=START + timedelta(hours=9 - hour))
    before = ticks.query(time_before=START.replace(hour=3)).to_flyte_idl()
    assert resolve(before).version.time_partition == START.replace(hour=1)
    since = ticks.query(time_from=Inputs.at, time_before=START.replace(hour=3)).to_flyte_idl()
    assert resolve(since, inputs={"at": moment(START.replace(hour=2))}).version.time_partition == START.replace(hour=2)


@pytest.mark.parametrize("more", ["{", "[]", '{"colour": "red"}', '{"alias": 1}', '{"time_from": {"inputs": "at"}}'])
def test_it_says_what_it_does_not_understand_of_a_query(more: str) -> None:
    query = DATASET.query().to_flyte_idl()
    query.MergeFromString(wire.Query(causeway=more).SerializeToString())
    with pytest.raises(InvalidArgument, match="artifact query"):
        resolve(query)


@pytest.mark.django_db
def test_it_finds_versions_by_address() -> None:
    first = published("ml-dataset", 1, region="SEA")
    second = published("ml-dataset", 2, region="LAX")
    Alias.objects.create(artifact=first.artifact, name="champion", version=first, moved_at=START)
    assert resolve(uri(address_of(first))).version == first
    base = "flyte://av0.1/flytesnacks/development/ml-dataset"
    assert resolve(uri(base)).version == second
    assert resolve(uri(f"{base}?region=SEA")).version == first
    assert resolve(uri(f"{base}:champion")).version == first
    assert resolve(uri(f"{base}:latest")).version == second
    with pytest.raises(QueryUnresolved, match="no alias 'best'; aliases: latest, champion"):
        resolve(uri(f"{base}:best"))
    with pytest.raises(QueryUnresolved, match="ml-dataset has no version 'v9'"):
        resolve(uri(f"{base}@v9"))
    with pytest.raises(QueryUnresolved, match="does not have region=LAX"):
        resolve(uri(f"{address_of(first)}?region=LAX"))


@pytest.mark.django_db
def test_it_finds_versions_by_tag() -> None:
    first = published("prime", 1)
    published("prime", 2)
    Alias.objects.create(artifact=first.artifact, name="champion", version=first, moved_at=START)
    tag = artifact_id_pb2.ArtifactTag(
        artifact_key=artifact_id_pb2.ArtifactKey(name="prime"),
        value=artifact_id_pb2.LabelValue(static_value="champion"),
    )
    assert resolve(artifact_id_pb2.ArtifactQuery(artifact_tag=tag)).explanation == "what 'champion' names of prime"
    query = artifact_id_pb2.ArtifactQuery(artifact_tag=tag)
    assert satisfies(first, query, project="flytesnacks", domain="development", inputs={})
    assert not satisfies(published("prime", 3), query, project="flytesnacks", domain="development", inputs={})


@pytest.mark.django_db
def test_it_travels_in_time() -> None:
    first = published("prime", 1)
    published("prime", 5)
    wanted = Wanted("flytesnacks", "development", "prime", created_before=START + timedelta(minutes=3))
    assert find(wanted).version == first


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        artifact_id_pb2.ArtifactQuery(),
        artifact_id_pb2.ArtifactQuery(artifact_id=artifact_id_pb2.ArtifactID()),
        uri("http://example.org"),
        uri("flyte://av0.1/only/two"),
        artifact_id_pb2.ArtifactQuery(binding=artifact_id_pb2.ArtifactBindingData()),
        DATASET.query(region=Inputs.missing).to_flyte_idl(),
    ],
)
def test_it_refuses_queries_that_mean_nothing(query: artifact_id_pb2.ArtifactQuery) -> None:
    with pytest.raises(InvalidArgument):
        resolve(query)


@pytest.mark.django_db
def test_it_takes_two_queries() -> None:
    published("ml-dataset", 1, region="SEA")
    with CaptureQueriesContext(connection) as queries:
        resolve(DATASET.query(region="SEA").to_flyte_idl())
    assert len(queries) == 2


@pytest.mark.django_db
def test_it_gets_a_version_by_alias_and_latest() -> None:
    first, second = published("prime", 1), published("prime", 2)
    Alias.objects.create(artifact=first.artifact, name="champion", version=first, moved_at=START)
    key = ("flytesnacks", "development", "prime")
    assert get_version(*key, first.version) == get_version(*key, "champion") == first
    assert get_version(*key, "latest") == second
    with pytest.raises(NotFound):
        get_version(*key, "v9")


names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/@:?#&=%"), min_size=1, max_size=40)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)


@given(names, names, names, st.text(max_size=20).filter(lambda t: "\x00" not in t), st.dictionaries(names, values))
def test_addresses_read_back(project: str, domain: str, name: str, version: str, partitions: dict[str, str]) -> None:
    partitions.pop("time_partition", None)
    address = Address(project, domain, name, version=version, partitions=partitions)
    assert parse_address(str(address)) == address


class TestMatching(TestCase):
    """Whatever was published, a query finds the newest version that has the wanted values, and no other."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=12),
        st.sampled_from(["", "a", "b", "c"]),
        st.sampled_from(["", "x", "y", "z"]),
    )
    def test_it_finds_what_a_scan_would(self, versions: list[tuple[str, str]], region: str, split: str) -> None:
        made = [published("d", n, region=r, split=s) for n, (r, s) in enumerate(versions)]
        asked = {key: value for key, value in (("region", region), ("split", split)) if value}
        wanted = Wanted("flytesnacks", "development", "d", partitions=asked)
        expected = [v for v in made if asked.items() <= v.partitions.items()]
        assert [v for v in made if matches(v, wanted)] == expected
        if expected:
            assert find(wanted).version == expected[-1]
        else:
            with pytest.raises(QueryUnresolved):
                find(wanted)
        assert Artifact.objects.count() == 1


moments = st.none() | st.integers(0, 5)


class TestTimes(TestCase):
    """Partitions and times together, in any mixture: what a scan of all versions would find."""

    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 4)), max_size=10),
        st.dictionaries(st.sampled_from(["region", "split"]), st.sampled_from("abxy")),
        *[moments] * 4,
    )
    def test_it_finds_what_a_scan_would(
        self,
        rows: list[tuple[str, str, int]],
        partitions: dict[str, str],
        exact: int | None,
        since: int | None,
        before: int | None,
        created: int | None,
    ) -> None:
        def hour(number: int | None) -> datetime | None:
            return None if number is None else START + timedelta(hours=number)

        artifact, _ = Artifact.objects.get_or_create(
            project="p", domain="d", name="n", partition_keys=["region", "split"], granularity=Granularity.HOUR
        )
        made = []
        for n, (region, split, at) in enumerate(rows):
            values = {"region": region, "split": split}
            Partition.objects.get_or_create(artifact=artifact, digest=digest_of(values), defaults={"values": values})
            made.append(
                ArtifactVersion.objects.create(
                    artifact=artifact,
                    version=f"v{n}",
                    kind="value",
                    literal=b"",
                    literal_type=b"",
                    partitions=values,
                    partition_digest=digest_of(values),
                    time_partition=hour(at),
                    created_at=START + timedelta(minutes=30 * n),
                )
            )
        wanted = Wanted(
            *artifact.key,
            partitions=partitions,
            time_partition=hour(exact),
            time_from=hour(since),
            time_before=hour(before),
            created_before=hour(created),
        )
        fitting = [version for version in made if matches(version, wanted)]
        for recent in (0, 2, 200):  # how far the first look goes must not matter
            with mock.patch.object(queries, "RECENT", recent):
                if fitting:
                    assert find(wanted).version == fitting[-1]
                else:
                    with pytest.raises(QueryUnresolved):
                        find(wanted)
