from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from flyteidl.core import literals_pb2, types_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact

from artifacts.actions.aliases import move_alias
from artifacts.actions.publish import Publication, publish
from artifacts.actions.retention import delete_objects, remove, set_policy
from artifacts.exceptions import FailedPrecondition, InvalidArgument, QueryUnresolved
from artifacts.models import ArtifactVersion, Removal
from artifacts.queries import find
from artifacts.store import store
from artifacts.uploads import place_of
from artifacts.wanted import Wanted
from lineage.actions.record import Use, record_consumed, record_produced
from lineage.models import VersionEdge, VersionRole, Via
from lineage.walks import ancestry
from scheduler.actions.retention import apply_all, apply_retention, plan_retention
from scheduler.tasks import apply_retention as apply_retention_task
from tests.artifacts.publishing import INT, START, publish_output, published

KEY = "flytesnacks/development/"
pytestmark = pytest.mark.django_db


def consume(version: ArtifactVersion, execution: str) -> None:
    record_consumed(KEY + execution, [Use(version.pk, variable="x", via=Via.QUERY)], at=START)


def produce(name: str, execution: str) -> ArtifactVersion:
    version = publish_output(FlyteArtifact(name=name), 1, execution=execution).versions[0][1]
    taken = VersionEdge.objects.filter(execution_key=KEY + execution, role=VersionRole.CONSUMED)
    sources = tuple(taken.values_list("version_id", flat=True))
    record_produced(KEY + execution, [Use(version.pk, via=Via.OUTPUT, sources=sources)], at=START)
    return version


def test_it_keeps_the_newest_of_each_partition() -> None:
    made = [published("d", n, region=region) for n, region in enumerate(["SEA", "SEA", "LAX", "SEA"])]
    policy = set_policy(made[0].artifact, keep_newest=2, actor="ada")
    assert plan_retention(policy).remove == [made[0]]
    assert not Removal.objects.exists()


def test_it_removes_only_what_every_rule_lets_go() -> None:
    made = [published("d", n) for n in range(3)]
    policy = set_policy(made[0].artifact, keep_newest=1, keep_for=timezone.now() - START + timedelta(days=9), actor="a")
    assert plan_retention(policy).remove == []
    policy = set_policy(made[0].artifact, keep_newest=1, keep_for=timedelta(hours=1), actor="a")
    assert plan_retention(policy).remove == made[:2]


def test_it_keeps_what_an_alias_names_and_what_kept_versions_were_made_of() -> None:
    made = [published("d", n) for n in range(4)]
    move_alias(made[0], "champion", actor="ada")
    consume(made[1], "train")
    model = produce("model", "train")
    policy = set_policy(made[0].artifact, keep_newest=1, actor="ada")
    plan = plan_retention(policy)
    assert plan.remove == [made[2]]
    assert plan.kept == [(made[0], "alias 'champion' names it"), (made[1], "a kept version was made of it")]
    remove([model], actor="ada", reason="by hand")
    assert plan_retention(policy).remove == [made[1], made[2]]
    consume(model, "deploy")
    produce("deployment", "deploy")
    assert plan_retention(policy).remove == [made[2]]  # needed through a removed one


def test_a_removed_version_is_a_tombstone() -> None:
    made = [published("d", n) for n in range(2)]
    consume(made[0], "train")
    model = produce("model", "train")
    policy = set_policy(made[0].artifact, keep_newest=1, keep_ancestors=False, actor="ada")
    (removal,) = apply_retention(policy)
    assert (removal.version, removal.reason) == (made[0], "retention: keep the newest 1")
    with pytest.raises(QueryUnresolved, match="was removed .*: its data is gone"):
        find(Wanted("flytesnacks", "development", "d", version=made[0].version))
    assert find(Wanted("flytesnacks", "development", "d")).version == made[1]
    assert made[0].pk in ancestry(model.pk).versions
    assert apply_retention(policy) == []


def blob(uri: str) -> literals_pb2.Literal:
    found = literals_pb2.Blob(uri=uri, metadata=literals_pb2.BlobMetadata(type=types_pb2.BlobType(format="csv")))
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=found))


def test_it_deletes_objects_that_nothing_else_uses(object_store: str) -> None:
    uris = [f"{object_store}/artifacts/p/d/{name}" for name in ("own", "shared", "folder")]
    store().put(uris[0], b"12345")
    store().put(uris[1], b"123")
    store().put(f"{uris[2]}/part", b"1234567")
    outside = "s3://elsewhere/data.csv"
    made = [
        publish(Publication("p", "d", "files", blob(uri), INT, version=f"v{n}"), actor="ada")
        for n, uri in enumerate([*uris, outside])
    ]
    publish(Publication("p", "d", "other", blob(uris[1]), INT, version="v"), actor="ada")
    remove(made, actor="ada", reason="by hand")
    assert delete_objects() == 4
    freed = dict(Removal.objects.values_list("version__version", "freed_bytes"))
    assert freed == {"v0": 5, "v1": 0, "v2": 7, "v3": 0}
    assert not store().exists(uris[0]) and store().exists(uris[1]) and not store().exists(f"{uris[2]}/part")
    assert delete_objects() == 0


@pytest.mark.django_db(transaction=True)
def test_data_that_is_being_published_again_is_not_deleted(valkey: object, object_store: str) -> None:
    uri = place_of("0" * 64, "data.csv", project="p", domain="d")
    store().put(uri, b"x")
    remove([publish(Publication("p", "d", "first", blob(uri), INT), actor="ada")], actor="ada", reason="old")

    def delete() -> None:
        try:
            delete_objects()
        finally:
            connection.close()

    deleting = threading.Thread(target=delete)
    with transaction.atomic():
        publish(Publication("p", "d", "second", blob(uri), INT), actor="ada")
        deleting.start()
        deleting.join(0.3)
        assert deleting.is_alive()  # waits until it is known whether the other version is one
    deleting.join()
    assert store().exists(uri)


def test_it_deletes_the_objects_of_all_removed_versions_within_the_hour(
    object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifacts.actions.retention.BATCH", 2)
    uris = [f"{object_store}/artifacts/p/d/{n}" for n in range(7)]
    for uri in uris:
        store().put(uri, b"x")
    made = [
        publish(Publication("p", "d", "files", blob(uri), INT, version=f"v{n}"), actor="ada")
        for n, uri in enumerate(uris)
    ]
    remove(made, actor="ada", reason="by hand")
    deleted = store().delete

    def refuses_the_first_two(uri: str) -> None:
        if uri in uris[:2]:
            raise OSError("out of reach")
        deleted(uri)

    with monkeypatch.context() as patched:
        patched.setattr(type(store()), "delete", lambda _self, uri: refuses_the_first_two(uri))
        apply_all()  # the hourly run
    assert [store().exists(uri) for uri in uris] == [True] * 2 + [False] * 5
    assert delete_objects() == 2 and not store().exists(uris[0])


def test_it_refuses_to_remove_what_an_alias_names() -> None:
    version = published("d", 1)
    move_alias(version, "champion", actor="ada")
    with pytest.raises(FailedPrecondition, match="alias 'champion' names it"):
        remove([version], actor="ada", reason="")


@pytest.mark.parametrize("rules", [{}, {"keep_newest": 0}, {"keep_for": timedelta(0)}])
def test_it_refuses_policies_that_make_no_sense(rules: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        set_policy(published("d", 1).artifact, actor="ada", **rules)  # type: ignore[arg-type]


def test_the_hourly_run_ends_in_time_and_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second", "third"):
        for number in range(3):
            version = published(name, number)
        set_policy(version.artifact, keep_newest=1, actor="ada")
    kept = ArtifactVersion.objects.filter(removed_at=None)
    assert apply_all(seconds=0.0) == 0
    assert kept.count() == 9, "nothing was begun"
    clock = iter([0.0, 1.0, *[99.0] * 50])  # the time is over as soon as the first policy was looked at
    with monkeypatch.context() as patched:
        patched.setattr("time.monotonic", lambda: next(clock))
        left = apply_all(seconds=10.0)
    assert left == 0, "with the policy that removed something: there might have been more"
    assert kept.count() == 7
    assert apply_all(after=left) is None
    assert kept.count() == 3


def test_the_hourly_task_asks_to_be_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("scheduler.tasks.continue_retention", asked.append)
    monkeypatch.setattr("scheduler.tasks.apply_all", lambda *, after: None if after else 7)
    apply_retention_task()
    apply_retention_task(7)
    assert asked == [7]
