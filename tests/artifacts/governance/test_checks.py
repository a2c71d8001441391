from __future__ import annotations

import json

import pytest
from causeway import Check
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flytekit.core.artifact import Artifact as FlyteArtifact

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound, QueryUnresolved
from artifacts.governance.checks import Report, Wish, drop_check, judge_again, report, set_check
from artifacts.governance.pointers import set_alias_policy
from artifacts.governance.standing import standing_of
from artifacts.models import ArtifactVersion, CheckResult, Happening
from artifacts.queries import find
from artifacts.search import search
from artifacts.wanted import Wanted
from audit.models import AuditEvent
from tests.artifacts.governance.making import auc_check, model, the_artifact
from tests.artifacts.publishing import integer, publish_output

pytestmark = pytest.mark.django_db
WANTED = Wanted("flytesnacks", "development", "model", passed=True)


def results(version: ArtifactVersion) -> dict[str, str]:
    return dict(CheckResult.objects.filter(version=version).values_list("name", "status"))


def found(text: str) -> list[str]:
    return sorted(search(text, ArtifactVersion.objects.all()).values_list("version", flat=True))


def test_search_finds_versions_by_their_checks() -> None:
    model("v1")
    auc_check()
    good, bad = model("v2", auc=0.9), model("v3", auc=0.5)
    report(good, Report("drift", passed=True, numbers={"psi": 0.31, "value": 0.1}), actor="ada")
    assert found("check:failed name:model") == ["v1", "v3"]
    assert found("check:passed") == ["v2"]
    assert found("-check:failed") == ["v2"]
    assert found("check.good:passed") == ["v2"]
    assert found("check.drift.psi>0.2") == ["v2"]
    assert found("check.drift>0.2") == []
    assert found("check.good<=0.5") == [bad.version]
    for wrong in ("check:fine", "check.good:fine", "check.>1", "quarantined:maybe"):
        with pytest.raises(InvalidArgument):
            found(wrong)


def test_each_new_version_is_judged_in_its_publication() -> None:
    model("v1", auc=0.9)
    auc_check()
    good, bad = model("v2", auc=0.85), model("v3", auc=0.5)
    assert (results(good), results(bad)) == ({"good": "passed"}, {"good": "failed"})
    row = CheckResult.objects.get(version=bad)
    assert (row.message, row.numbers) == (
        "auc is 0.5, at least 0.8 is asked",
        {"value": 0.5, "at_least": 0.8},
    )
    said = Happening.objects.filter(kind__startswith="check.").order_by("pk").values_list("kind", "version__version")
    assert list(said) == [("check.passed", "v1"), ("check.passed", "v2"), ("check.failed", "v3")]
    assert Happening.objects.filter(kind="check.failed").get().detail["numbers"] == row.numbers


def test_artifacts_without_checks_are_asked_nothing() -> None:
    model("v1", auc=0.9)
    with CaptureQueriesContext(connection) as queries:
        model("v2", auc=0.9)
    assert not [one for one in queries if 'FROM "artifacts_checkrule"' in one["sql"]]


def test_only_versions_of_the_partition_are_judged() -> None:
    dataset = FlyteArtifact(name="ds", partition_keys=["region"])
    first = publish_output(dataset(region="SEA")).versions[0][1]
    set_check(
        first.artifact,
        Wish("big", "metric", {"metric": "rows", "at_least": 10}, partitions={"region": "SEA"}),
        actor="root",
    )
    other = publish_output(dataset(region="EU"), execution="e2").versions[0][1]
    assert (results(first), results(other)) == ({"big": "failed"}, {})


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish("latest", "reported"), "'latest' always names"),
        (Wish("a b", "reported"), "is not an alias"),
        (Wish("good", "reported", partitions={"region": "SEA"}), "has no partition region; its partition keys: none"),
        (Wish("good", "reported", severity="fatal"), "the severity is warn or block"),
        (Wish("good", "comparison", {"metric": "auc", "against": "a/b"}), "is not an alias"),
    ],
)
def test_it_refuses_checks(wish: Wish, said: str) -> None:
    model("v1")
    with pytest.raises(InvalidArgument) as refused:
        set_check(the_artifact(), wish, actor="root")
    assert said in refused.value.message


def test_what_is_reported_takes_the_place_of_what_was_said() -> None:
    version = model("v1")
    set_check(the_artifact(), Wish("fair", "reported"), actor="root")
    version = model("v2")
    assert results(version) == {"fair": "pending"}
    assert standing_of(version.pk).said() == "waits for the checks fair"
    report(version, Report("fair", passed=False, message="not to everybody", numbers={"gap": 0.3}), actor="ada")
    assert standing_of(version.pk).said() == "did not pass its checks: fair (not to everybody)"
    report(version, Report("fair", passed=True), actor="bob")
    assert standing_of(version.pk).passed
    assert [row.actor for row in Happening.objects.filter(name="fair").order_by("pk")] == ["ada", "bob"]
    assert list(AuditEvent.objects.filter(verb="check.report").values_list("actor", flat=True)) == ["ada", "bob"]


def test_a_reported_value_is_judged_by_the_bounds() -> None:
    version = model("v1", auc=0.9)
    auc_check()
    row = report(version, Report("good", value=0.61, message="this week"), actor="monitor")
    assert (row.status, row.message) == ("failed", "auc is 0.61, at least 0.8 is asked: this week")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (Report("good", passed=True), "has bounds: report a 'value'"),
        (Report("new"), "say whether 'new' passed"),
        (Report("new", value=3), "say whether 'new' passed"),
        (Report("new", passed=True, severity="fatal"), "the severity is warn or block"),
        (Report("new", passed=True, numbers={"x": "three"}), "must be a finite number"),
        (Report("fresh", value=3), "is judged by Causeway"),
    ],
)
def test_it_refuses_reports(said: Report, problem: str) -> None:
    version = model("v1", auc=0.9)
    auc_check()
    set_check(the_artifact(), Wish("fresh", "freshness", {"hours": 1}), actor="root")
    before = list(CheckResult.objects.order_by("pk").values())
    with pytest.raises(InvalidArgument) as refused:
        report(version, said, actor="ada")
    assert problem in refused.value.message
    assert list(CheckResult.objects.order_by("pk").values()) == before


def test_queries_can_demand_passed_checks() -> None:
    model("v1", auc=0.9)
    auc_check()
    model("v2", auc=0.85)
    model("v3", auc=0.5)
    set_check(
        the_artifact(), Wish("hint", "metric", {"metric": "auc", "at_least": 0.99}, severity="warn"), actor="root"
    )
    assert find(WANTED).version.version == "v2"
    assert find(Wanted(*WANTED_KEY)).version.version == "v3"


WANTED_KEY = ("flytesnacks", "development", "model")


def test_a_query_that_nothing_passes_says_so() -> None:
    model("v1", auc=0.1)
    auc_check()
    with pytest.raises(QueryUnresolved, match="model has no version with checks passed"):
        find(WANTED)


def test_some_partition_keys_and_passed_checks() -> None:
    dataset = FlyteArtifact(name="model", partition_keys=["region", "day"])
    first = publish_output(dataset(region="SEA", day="1"), execution="e1").versions[0][1]
    second = publish_output(dataset(region="SEA", day="2"), execution="e2").versions[0][1]
    report(second, Report("fit", passed=False), actor="ada")
    asked = Wanted(*WANTED_KEY, partitions={"region": "SEA"}, passed=True)
    assert find(asked).version == first


def test_a_task_says_what_its_own_checks_said() -> None:
    key, text = Check("nulls", passed=False, numbers={"share": 0.4}).serialize_to_string(None, "o0")
    version = publish_output(FlyteArtifact(name="ds"), integer(1, {key: text})).versions[0][1]
    row = CheckResult.objects.get(version=version)
    assert (row.name, row.status, row.numbers, row.actor) == ("nulls", "failed", {"share": 0.4}, "ada")
    assert key.encode() not in bytes(version.literal)


@pytest.mark.parametrize("said", [[], {"passed": "yes"}, {"passed": True, "verdict": 1}, {}, {"value": "x"}])
def test_a_report_that_says_nothing_is_refused_with_the_publication(said: object) -> None:
    with pytest.raises(InvalidArgument):
        publish_output(FlyteArtifact(name="ds"), integer(1, {"_uck.nulls": json.dumps(said)}))


def test_it_judges_again() -> None:
    version = model("v1", auc=0.9)
    auc_check()
    report(version, Report("good", value=0.2), actor="monitor")
    assert [row.status for row in judge_again(version, actor="ada")] == ["passed"]


def test_a_check_that_a_policy_demands_stays() -> None:
    model("v1", auc=0.9)
    auc_check()
    set_alias_policy(the_artifact(), "champion", {"checks": ["good"]}, actor="root")
    with pytest.raises(FailedPrecondition, match="the policy of 'champion' demands 'good'"):
        drop_check(the_artifact(), "good", actor="root")
    with pytest.raises(NotFound, match="there are: good"):
        drop_check(the_artifact(), "bad", actor="root")
