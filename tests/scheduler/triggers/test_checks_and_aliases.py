"""Triggers that wait for checks, and those on an alias."""

from __future__ import annotations

import json
from typing import Any

import pytest
from causeway import Artifact, OnAlias, OnArtifact, wire
from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from google.protobuf import any_pb2

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import InvalidArgument
from artifacts.governance.checks import Report, Wish, report, set_check
from artifacts.governance.pointers import Mover, set_alias_policy
from artifacts.models import ArtifactVersion, Happening
from scheduler.actions.launch_plans import set_state
from scheduler.happenings import handle, unhandled
from scheduler.models import Execution, FiringOutcome, LaunchPlan, Trigger, TriggerFiring
from scheduler.triggers.evaluate import evaluate_version, retry_by_hand
from scheduler.triggers.parse import trigger_from
from tests.artifacts.governance.making import settle
from tests.artifacts.publishing import integer, publish_output
from tests.scheduler.triggers.plans import DATASET, PRIME, active_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


def publish(number: int, artifact: object = PRIME, **metrics: float) -> ArtifactVersion:
    metadata = {"_um": json.dumps(metrics)} if metrics else {}
    return publish_output(artifact, integer(number, metadata), execution=f"e{number}").versions[0][1]  # type: ignore[arg-type]


def outcome(version: ArtifactVersion) -> tuple[str, str, bool]:
    firing = TriggerFiring.objects.get(version=version)
    return firing.outcome, firing.reason, firing.held


@pytest.fixture
def checked() -> Trigger:
    """A trigger on versions whose checks passed: `rows` is at least 10, and somebody says that they are `clean`."""
    first = publish(1)
    set_check(first.artifact, Wish("big", "metric", {"metric": "rows", "at_least": 10}), actor="root")
    return active_plan(OnArtifact(PRIME, checks="passed"))


def test_a_bad_dataset_stops_at_its_check_and_launches_nothing(checked: Trigger) -> None:
    bad = publish(2, rows=3)
    evaluate_version(bad.pk)
    assert outcome(bad) == (
        FiringOutcome.SKIPPED,
        f"prime@{bad.version} did not pass its checks: big (rows is 3, at least 10 is asked)",
        True,
    )
    settle()
    retry_by_hand(TriggerFiring.objects.get(version=bad).pk, actor="ada")
    assert not Execution.objects.exists()


def test_a_good_one_launches_at_once(checked: Trigger) -> None:
    good = publish(2, rows=30)
    evaluate_version(good.pk)
    assert outcome(good)[0] == FiringOutcome.FIRED


def test_it_waits_for_who_reports_and_launches_once(checked: Trigger) -> None:
    set_check(publish(1).artifact, Wish("clean", "reported"), actor="root")
    version = publish(2, rows=30)
    evaluate_version(version.pk)
    assert outcome(version) == (FiringOutcome.WAITING, f"prime@{version.version} waits for the checks clean", True)
    settle()
    assert not Execution.objects.exists()
    for _ in range(2):
        report(version, Report("clean", passed=True), actor="ada")
        settle()
    assert outcome(version)[0] == FiringOutcome.FIRED
    assert Execution.objects.count() == 1


def test_a_check_that_fails_ends_the_wait_and_one_that_passes_later_launches(checked: Trigger) -> None:
    set_check(publish(1).artifact, Wish("clean", "reported"), actor="root")
    version = publish(2, rows=30)
    evaluate_version(version.pk)
    report(version, Report("clean", passed=False), actor="ada")
    settle()
    assert outcome(version)[:2] == (FiringOutcome.SKIPPED, f"prime@{version.version} did not pass its checks: clean")
    report(version, Report("clean", passed=True), actor="ada")
    settle()
    assert outcome(version)[0] == FiringOutcome.FIRED


def test_a_report_before_the_evaluation_has_the_trigger_looked_at(checked: Trigger) -> None:
    set_check(publish(1).artifact, Wish("clean", "reported"), actor="root")
    version = publish(2, rows=30)
    report(version, Report("clean", passed=True), actor="ada")
    settle()
    assert outcome(version)[0] == FiringOutcome.FIRED


def test_what_is_held_is_let_go_with_the_launch_plan(checked: Trigger) -> None:
    set_check(publish(1).artifact, Wish("clean", "reported"), actor="root")
    version = publish(2, rows=30)
    evaluate_version(version.pk)
    set_state(checked.launch_plan, LaunchPlan.State.INACTIVE, actor="ada")
    report(version, Report("clean", passed=True), actor="ada")
    settle()
    assert outcome(version)[0] == FiringOutcome.SKIPPED
    assert not Execution.objects.exists()


def test_with_limits_it_waits_for_checks_first_and_its_turn_then() -> None:
    first = publish(1)
    set_check(first.artifact, Wish("clean", "reported"), actor="root")
    active_plan(OnArtifact(PRIME, checks="passed", max_concurrent=1))
    one, two = publish(2), publish(3)
    for version in (one, two):
        evaluate_version(version.pk)
    for version in (two, one):
        report(version, Report("clean", passed=True), actor="ada")
        settle()
    assert outcome(two)[0] == FiringOutcome.FIRED
    assert outcome(one)[0] == FiringOutcome.WAITING and TriggerFiring.objects.get(version=one).queued


def test_a_moved_alias_launches_each_time_and_a_publication_does_not() -> None:
    active_plan(OnAlias(PRIME, "champion"))
    one, two = publish(1), publish(2)
    for version in (one, two):
        evaluate_version(version.pk)
    assert not TriggerFiring.objects.exists()
    for version in (one, two, one):
        move_alias(version, "champion", actor="ada")
        move_alias(version, "other", actor="ada")
        settle()
        settle()
    firings = TriggerFiring.objects.order_by("pk")
    assert [(firing.version_id, firing.outcome) for firing in firings] == [
        (one.pk, FiringOutcome.FIRED),
        (two.pk, FiringOutcome.FIRED),
        (one.pk, FiringOutcome.FIRED),
    ]
    assert Execution.objects.values("name").distinct().count() == 3
    assert all(firing.happening.kind == "alias.moved" for firing in firings.select_related("happening"))  # type: ignore[union-attr]


def test_it_launches_when_an_alias_falls_back() -> None:
    first = publish(1, auc=0.9)
    set_check(first.artifact, Wish("good", "metric", {"metric": "auc", "at_least": 0.8}), actor="root")
    rules = {"checks": ["good"], "automatic": True, "fall_back": True}
    set_alias_policy(first.artifact, "champion", rules, actor="root")
    settle()
    active_plan(OnAlias(PRIME, "champion"))
    second = publish(2, auc=0.95)
    settle()
    report(second, Report("good", value=0.4), actor="monitor")
    settle()
    fired = TriggerFiring.objects.order_by("pk").values_list("version", "happening__kind")
    assert list(fired) == [(second.pk, "alias.moved"), (first.pk, "alias.fallen_back")]


def test_only_versions_of_the_partition_launch_for_an_alias() -> None:
    dataset = Artifact(name="ml-dataset", partition_keys=["region"])
    active_plan(OnAlias(dataset.query(region="SEA"), "champion"))
    sea = publish_output(DATASET(region="SEA"), execution="s").versions[0][1]
    other = publish_output(DATASET(region="EU"), execution="o").versions[0][1]
    for version in (other, sea):
        move_alias(version, "champion", actor="ada")
    settle()
    assert [firing.version for firing in TriggerFiring.objects.all()] == [sea]


def test_an_alias_kept_per_region_launches_for_the_region_that_moved() -> None:
    dataset = Artifact(name="ml-dataset", partition_keys=["region"])
    sea, lax = (
        publish_output(DATASET(region=region), integer(n), execution=region.lower()).versions[0][1]
        for n, region in ((1, "SEA"), (2, "LAX"))
    )
    set_alias_policy(sea.artifact, "champion", {"per": ["region"]}, actor="root")
    of_it = dataset.query(alias="champion", region=dataset.partitions.region)
    active_plan(OnAlias(dataset, "champion", inputs={"n": of_it}))
    for version in (sea, lax):
        move_alias(version, "champion", actor="ada", mover=Mover("ada", ["approver"]))
    settle()
    firings = TriggerFiring.objects.order_by("pk").select_related("happening", "execution")
    assert [firing.version for firing in firings] == [sea, lax]
    assert [firing.happening.detail["partitions"] for firing in firings if firing.happening] == [
        {"region": "SEA"},
        {"region": "LAX"},
    ]
    assert {firing.outcome for firing in firings} == {FiringOutcome.FIRED}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"alias": "latest"}, "'latest' always names"),
        ({"alias": 3}, "'alias' of the trigger is a text"),
        ({"alias": "a", "also": [{"name": "other"}]}, "a trigger on an alias watches one artifact"),
        ({"checks": "some"}, "'checks' of the trigger is 'passed', not 'some'"),
        ({"checks": True}, "'checks' of the trigger is 'passed'"),
    ],
)
def test_it_refuses_what_no_trigger_can_ask(more: dict[str, object], said: str) -> None:
    watched = artifact_id_pb2.ArtifactID(artifact_key=artifact_id_pb2.ArtifactKey(name="prime"))
    trigger = wire.Trigger(trigger=watched.SerializeToString(), causeway=json.dumps(more))
    sent = any_pb2.Any(type_url="type.googleapis.com/flyteidl.artifact.Trigger", value=trigger.SerializeToString())
    with pytest.raises(InvalidArgument) as refused:
        trigger_from(sent, project="flytesnacks", domain="development")
    assert said in refused.value.message


def test_the_sdk_refuses_the_same() -> None:
    for wrong in (
        lambda: OnAlias(PRIME, "latest"),
        lambda: OnAlias(PRIME, ""),
        lambda: OnAlias("prime", "champion"),  # type: ignore[arg-type]
        lambda: OnArtifact(PRIME, checks="some"),
        lambda: Artifact(name="x").query(checks="some"),
    ):
        with pytest.raises(ValueError):
            wrong()
    assert FlyteArtifact(name="x").query().name == "x"


def test_what_follows_from_a_check_costs_so_many_statements(django_assert_num_queries: Any) -> None:
    first = publish(1, rows=3)
    set_check(first.artifact, Wish("big", "metric", {"metric": "rows", "at_least": 10}), actor="root")
    set_alias_policy(first.artifact, "champion", {"checks": ["big"], "automatic": True}, actor="root")
    active_plan(OnAlias(PRIME, "champion"))
    for number in (2, 3):  # what never changes of the launch plan is read once
        evaluate_version(publish(number, rows=30).pk)
        settle()
    evaluate_version(publish(4, rows=30).pk)  # as another worker does meanwhile
    for kind, count in (("check.passed", 16), ("alias.moved", 15)):  # one asks whether the alias is a contest's
        [pk] = unhandled(limit=5)
        assert Happening.objects.get(pk=pk).kind == kind
        with django_assert_num_queries(count):
            handle(pk)
    assert TriggerFiring.objects.filter(outcome=FiringOutcome.FIRED).count() == 3
