"""The pages of checks and policies, and what a version's page shows of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.governance.checks import Report, Wish, report, set_check
from artifacts.governance.pointers import set_alias_policy
from artifacts.models import Alias, AliasMove, AliasPolicy, ArtifactVersion, CheckRule, Happening, Kind
from console.accounts.models import User
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]


@pytest.fixture
def page(world: World) -> str:
    return f"/artifacts/governance/{world.model.artifact_id}/"


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_it_sets_shows_and_removes_a_check(world: World, browse: Browse, page: str) -> None:
    client = browse(world.admin)
    form = {"name": "good", "kind": "metric", "parameters": '{"metric": "nothing", "at_least": 1}', "severity": "warn"}
    client.post(f"{page}check/", form)
    assert CheckRule.objects.get().parameters == {"metric": "nothing", "at_least": 1.0}
    shown = text(client, page)
    assert "metric: metric nothing, at least 1<" in shown and "it has no metric &#x27;nothing&#x27;" in shown
    assert "it has no metric" in text(client, f"/artifacts/versions/{world.model.pk}/")
    client.post(f"{page}check/", {"name": "good", "do": "remove"})
    assert not CheckRule.objects.exists()


@pytest.mark.parametrize(
    ("parameters", "said"), [("{", "must be JSON"), ('{"metric": "auc"}', "needs a bound"), ("[]", "must be an object")]
)
def test_what_was_typed_and_refused_stands_there_again(
    world: World, browse: Browse, page: str, parameters: str, said: str
) -> None:
    client = browse(world.admin)
    form = {"name": "my-check", "kind": "metric", "parameters": parameters, "severity": "block"}
    shown = client.post(f"{page}check/", form, follow=True).content.decode()
    assert said in shown and 'value="my-check"' in shown
    assert not CheckRule.objects.exists()


def test_it_sets_a_policy_that_the_version_page_obeys(world: World, browse: Browse, page: str) -> None:
    artifact, client = world.model.artifact, browse(world.admin)
    set_check(artifact, Wish("good", "metric", {"metric": "nothing", "at_least": 1}), actor="root")
    client.post(f"{page}policy/", {"alias": "best", "rules": '{"checks": ["good"]}'})
    assert AliasPolicy.objects.get().rules["checks"] == ["good"]
    version = f"/artifacts/versions/{world.model.pk}/"
    refused = client.post(f"{version}alias/", {"alias": "best"}, follow=True).content.decode()
    assert "cannot name" in refused and "check good failed" in refused
    assert not Alias.objects.filter(name="best").exists()
    client.post(f"{version}alias/", {"alias": "best", "force": "yes", "reason": "a demo"})
    assert AliasMove.objects.get(name="best").forced
    shown = text(client, page)
    assert "forced" in shown and "broken" in shown
    client.post(f"{page}policy/", {"alias": "best", "do": "remove"})
    assert not AliasPolicy.objects.exists()


def test_an_alias_kept_per_region_is_shown_for_each(world: World, browse: Browse) -> None:
    client, artifact = browse(world.admin), world.dataset.artifact
    other = ArtifactVersion.objects.get(artifact=artifact, partitions={"region": "LAX"})
    page = f"/artifacts/governance/{artifact.pk}/"
    client.post(f"{page}policy/", {"alias": "best", "rules": '{"per": ["region"]}'})
    for version in (world.dataset, other):
        client.post(f"/artifacts/versions/{version.pk}/alias/", {"alias": "best", "reason": "first"})
    assert Alias.objects.filter(name="best").count() == 2
    for address in (page, f"/artifacts/{'/'.join(artifact.key)}/"):
        shown = text(client, address)
        assert shown.count('title="region = LAX"') >= 2, "the pointer, and its move"
    shown = text(client, f"/artifacts/versions/{world.dataset.pk}/")
    assert f"now {world.dataset.version}" in shown and f"now {other.version}" not in shown, "what would move from here"
    client.post(f"/artifacts/versions/{other.pk}/alias/", {"alias": "best", "do": "remove"})
    assert [alias.version for alias in Alias.objects.filter(name="best")] == [world.dataset]


def test_it_quarantines_and_lets_out(world: World, browse: Browse) -> None:
    client, version = browse(world.admin), f"/artifacts/versions/{world.model.pk}/"
    client.post(f"{version}judge/", {"do": "quarantine", "reason": "wrong labels"})
    assert "It was quarantined" in text(client, version)
    assert "quarantined" in text(client, f"/artifacts/{'/'.join(world.model.artifact.key)}/"), "its list marks it"
    client.post(f"{version}judge/", {"do": "release", "reason": "right"})
    assert "It was quarantined" not in text(client, version)


def test_a_viewer_reads_and_changes_nothing(world: World, browse: Browse, page: str) -> None:
    artifact = world.model.artifact
    set_check(artifact, Wish("good", "reported"), actor="root")
    set_alias_policy(artifact, "best", {"checks": ["good"], "approvals": 1}, actor="root")
    viewer = browse(world.viewer)
    assert "Set the check" not in text(viewer, page)
    version = f"/artifacts/versions/{world.model.pk}/"
    for address, form in (
        (f"{page}check/", {"name": "good", "do": "remove"}),
        (f"{page}policy/", {"alias": "best", "do": "remove"}),
        (f"{version}judge/", {"do": "quarantine", "reason": "x"}),
        (f"{version}judge/", {"do": "approve", "alias": "best"}),
    ):
        assert viewer.post(address, form).status_code == 403
    assert CheckRule.objects.exists() and AliasPolicy.objects.exists()


def test_it_shows_what_did_not_follow(world: World, browse: Browse, page: str) -> None:
    about = {"artifact": world.model.artifact, "kind": "check.passed", "subject": "model@v7", "at": timezone.now()}
    broken = {**about, "undone": ["earn"], "tries": 6, "detail": {"broken": ["earn: <no> such luck"]}}
    Happening.objects.create(**about, handled_at=timezone.now())
    assert "What did not follow yet" not in text(browse(world.admin), page)
    Happening.objects.create(**broken, handled_at=timezone.now())
    shown = text(browse(world.admin), page)
    assert "given up" in shown and "earn: &lt;no&gt; such luck" in shown


def test_who_approves_approves_what_the_page_showed(world: World, browse: Browse) -> None:
    artifact, client = world.model.artifact, browse(world.viewer)
    set_check(artifact, Wish("good", "reported"), actor="root")
    set_alias_policy(
        artifact, "best", {"approvals": 1, "approvers": [world.viewer.username], "checks": ["good"]}, actor="root"
    )
    version = f"/artifacts/versions/{world.model.pk}/"
    [digest] = re.findall(r'name="digest" value="(\w{64})"', text(client, version))
    form = {"do": "approve", "alias": "best", "digest": digest}
    report(world.model, Report("good", passed=True), actor="eve")
    assert "changed since you looked" in client.post(f"{version}judge/", form, follow=True).content.decode()
    assert not Happening.objects.filter(kind="version.approved").exists()
    [form["digest"]] = re.findall(r'name="digest" value="(\w{64})"', text(client, version))
    client.post(f"{version}judge/", form)
    assert Happening.objects.get(kind="version.approved").detail["shown"] == form["digest"]


def test_what_checks_found_is_drawn_over_versions(world: World, browse: Browse, page: str) -> None:
    artifact, client = world.model.artifact, browse(world.admin)
    set_check(artifact, Wish("gap", "reported", {"at_most": 0.1}), actor="root")
    report(world.model, Report("gap", value=0.05), actor="ada")
    assert 'id="found"' not in text(client, page)  # one value is no change
    again = make_version("ml-model", Kind.MODEL, number=77)
    report(again, Report("gap", value=0.3), actor="ada")
    shown = text(client, page)
    assert 'id="found"' in shown and "0.1 is the bound" in shown
    assert "failed: gap is 0.3, at most 0.1 is asked" in shown
