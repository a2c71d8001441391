"""Which newer versions a query did not find, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import QueryUnresolved
from artifacts.governance.checks import Report, report
from artifacts.models import ArtifactVersion
from artifacts.passed_over import LOOKED_AT, NAMED, PassedOver, passed_over
from artifacts.queries import find, matches
from artifacts.wanted import Wanted
from tests.artifacts.publishing import published

WANTED = Wanted("flytesnacks", "development", "ml-dataset", partitions={"region": "SEA"})


def publish(number: int, region: str = "SEA") -> ArtifactVersion:
    return published("ml-dataset", number, region=region)


def over(wanted: Wanted) -> PassedOver:
    try:
        found = find(wanted).version
    except QueryUnresolved:
        found = None
    artifact = ArtifactVersion.objects.select_related("artifact").all()[0].artifact
    return passed_over(artifact, wanted, found)


def change(version: ArtifactVersion, **values: object) -> None:
    ArtifactVersion.objects.filter(pk=version.pk).update(**values)


@pytest.mark.django_db
def test_nothing_is_passed_over_where_the_newest_is_found() -> None:
    publish(1)
    publish(2)
    assert over(WANTED).count == 0


@pytest.mark.django_db
def test_each_newer_one_says_why_it_was_not_found() -> None:
    now = timezone.now()
    good, removed, quarantined, shadow, failed, pending = (publish(number) for number in range(6))
    change(removed, removed_at=now)
    change(quarantined, quarantined_at=now)
    change(shadow, quarantined_at=now, is_shadow=True)
    report(failed, Report("bias", passed=False), actor="ada")
    report(failed, Report("auc", passed=False), actor="ada")
    report(good, Report("auc", passed=True), actor="ada")
    pending.check_results.create(
        name="auc", kind="reported", severity="block", status="pending", actor="system:checks", at=now
    )
    reasons = [reason for _, reason in over(replace(WANTED, passed=True)).named]
    assert reasons[0] == "not judged yet by the check auc"
    assert reasons[1] == "failed the checks auc, bias"
    assert reasons[2] == "the output of a run beside production"
    assert reasons[3].startswith("quarantined 20") and reasons[4].startswith("its data was removed 20")
    assert over(WANTED).count == 0, "who does not ask for checks gets the newest"


@pytest.mark.django_db
def test_those_of_other_partitions_are_counted() -> None:
    publish(1)
    for number, region in enumerate(("LAX", "NYC", "LAX"), start=2):
        publish(number, region)
    found = over(WANTED)
    assert (found.named, found.elsewhere, list(found.examples)) == ([], 3, ["region=LAX", "region=NYC"])


@pytest.mark.django_db
def test_an_alias_says_that_it_names_another() -> None:
    first, second = publish(1), publish(2)
    move_alias(first, "champion", actor="ann")
    assert [reason for _, reason in over(replace(WANTED, alias="champion")).named] == ["'champion' does not name it"]
    assert over(replace(WANTED, alias="latest")).count == 0
    asked = replace(WANTED, version=first.version)
    assert [(one.pk, reason) for one, reason in over(asked).named] == [
        (second.pk, f"version {first.version} is asked for")
    ]
    as_of = replace(WANTED, created_before=second.created_at)
    assert [reason.startswith("published later than 2026-05-17") for _, reason in over(as_of).named] == [True]


@pytest.mark.django_db
def test_where_nothing_is_found_all_say_why() -> None:
    report(publish(1), Report("auc", passed=False), actor="ada")
    assert [reason for _, reason in over(replace(WANTED, passed=True)).named] == ["failed the check auc"]


@pytest.mark.django_db
def test_however_many_there_are_two_queries_tell() -> None:
    publish(0)
    for number in range(1, LOOKED_AT + 5):
        change(publish(number), quarantined_at=timezone.now())
    wanted = replace(WANTED, passed=True)
    found = find(wanted).version
    with CaptureQueriesContext(connection) as captured:
        told = passed_over(found.artifact, wanted, found)
    assert len(captured) == 2
    assert len(told.named) == NAMED and told.unnamed == LOOKED_AT - NAMED and told.more


class Model(TestCase):
    """Every newer version is told of once, and none of those told of is one that the query could have found."""

    @settings(max_examples=25, deadline=None)
    @given(
        states=st.lists(
            st.tuples(st.sampled_from(["SEA", "LAX"]), st.sampled_from(["", "removed", "quarantined", "failed"])),
            min_size=1,
            max_size=7,
        ),
        passed=st.booleans(),
    )
    def test_it_tells_of_all_that_are_newer_and_of_no_other(self, states: list[tuple[str, str]], passed: bool) -> None:
        versions = [publish(number, region) for number, (region, _) in enumerate(states)]
        for version, (_, state) in zip(versions, states, strict=True):
            if state == "failed":
                report(version, Report("auc", passed=False), actor="ada")
            elif state:
                change(version, **{f"{state}_at": timezone.now()})
        wanted = replace(WANTED, passed=passed)
        try:
            found = find(wanted).version
        except QueryUnresolved:
            found = None
        told = over(wanted)
        newer = [one for one in versions if found is None or one.created_at > found.created_at]
        assert told.count == len(newer)
        for one, _ in told.named:
            assert one.quarantined_at is not None or not matches(one, wanted)
