"""What lists of versions say beside each of them, and what every page of one is headed by."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from artifacts.governance.checks import Report, report
from artifacts.models import ArtifactVersion, Kind, Severity
from console.accounts.models import User
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]
ARTIFACT = "/artifacts/demo/development/ml-model/"
TABS = ("", "object/", "card/", "lineage/", "graph/", "canvas/", "triggers/", "why/", "keep/")


def fail(version: ArtifactVersion, *names: str, severity: str = Severity.BLOCK) -> None:
    for name in names:
        report(version, Report(name, passed=False, severity=severity), actor="ada")


def said(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_says_which_version_it_is_of(world: World, browse: Browse, tab: str) -> None:
    shown = said(browse(world.viewer), f"/artifacts/versions/{world.model.pk}/{tab}")
    heading = shown[shown.index("<h1>") : shown.index("</h1>")]
    assert "ml-model" in heading and world.model.version in heading


@pytest.mark.parametrize("address", [ARTIFACT, f"{ARTIFACT}?q=region=SEA", "/artifacts/", "/artifacts/?q=model", "/"])
def test_a_list_marks_in_words_what_failed_its_checks(world: World, browse: Browse, address: str) -> None:
    client = browse(world.viewer)
    report(world.model, Report("drift", passed=True), actor="ada")
    assert "fails" not in said(client, address)
    fail(world.model, "auc-floor")
    shown = said(client, address)
    assert shown.count("fails auc-floor<") == 1 and 'tone-bad" title="auc-floor"' in shown
    assert "drift" not in shown


def test_what_only_warns_is_marked_as_a_warning(world: World, browse: Browse) -> None:
    fail(world.model, "fresh", severity=Severity.WARN)
    assert 'tone-warn" title="fresh (warns only)">fails fresh<' in said(browse(world.viewer), ARTIFACT)


def test_of_many_checks_the_blocking_ones_are_named(world: World, browse: Browse) -> None:
    fail(world.model, "a-warning", severity=Severity.WARN)
    fail(world.model, "bias", "floor", "skew")
    shown = said(browse(world.viewer), ARTIFACT)
    assert ">fails bias, floor and 2 more<" in shown
    assert 'title="bias, floor, skew, a-warning (warns only)"' in shown


def test_the_palette_says_that_a_version_fails(world: World, browse: Browse) -> None:
    fail(world.model, "auc-floor")
    groups = browse(world.viewer).get("/search/?q=kind:model").context["groups"]
    (hit,) = (hit for group in groups if group.title == "Versions" for hit in group.hits)
    assert hit.more.startswith("fails auc-floor, ")


def test_the_list_of_all_marks_what_is_quarantined_as_an_artifacts_own_does(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    client.post(f"/artifacts/versions/{world.model.pk}/judge/", {"do": "quarantine", "reason": "wrong labels"})
    for address in (ARTIFACT, "/artifacts/", "/"):
        assert ">quarantined<" in said(client, address)


@pytest.mark.parametrize("address", [ARTIFACT, "/artifacts/"])
def test_marks_cost_one_query_however_many_fail(world: World, browse: Browse, address: str) -> None:
    client = browse(world.viewer)
    fail(world.model, "auc-floor")

    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            said(client, address)
        return sum("checkresult" in one["sql"] for one in captured)

    assert asked() == 1
    for number in range(9):
        fail(make_version("ml-model", Kind.MODEL, number=40 + number), "auc-floor", "bias")
    assert asked() == 1
