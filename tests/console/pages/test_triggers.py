from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.models import Kind
from audit.models import AuditEvent
from console.accounts.models import User
from scheduler.models import Trigger, TriggerFiring, TriggerSource
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]


def test_it_lists_the_ledger_with_filters(world: World, browse: Browse, django_assert_max_num_queries: Any) -> None:
    client = browse(world.admin)
    assert "train_on_dataset" in client.get("/reactions/").content.decode()
    assert "Nothing here" in client.get("/reactions/?outcome=expired").content.decode()
    assert "train_on_dataset" in client.get("/reactions/?plan=train_on&artifact=ml-").content.decode()
    with django_assert_max_num_queries(12):
        client.get("/reactions/")


def test_it_shows_what_a_version_triggers(world: World, browse: Browse) -> None:
    version = TriggerFiring.objects.order_by("pk")[0].version
    text = browse(world.admin).get(f"/artifacts/versions/{version.pk}/triggers/").content.decode()
    assert "What it would trigger now" in text and "train_on_dataset" in text


def test_it_shows_what_a_firing_was_before(world: World, browse: Browse) -> None:
    firing = TriggerFiring.objects.order_by("pk")[0]
    url = f"/artifacts/versions/{firing.version_id}/triggers/"
    assert "What it was before" not in browse(world.admin).get(url).content.decode()
    before = {"outcome": "skipped", "at": firing.at.isoformat(), "reason": "paused by ann"}
    TriggerFiring.objects.filter(pk=firing.pk).update(history=[before])
    text = browse(world.admin).get(url).content.decode()
    assert "What it was before" in text and "paused by ann" in text and "Skipped" in text


def test_it_pauses_limits_and_resumes_with_an_audit_row(world: World, browse: Browse) -> None:
    client, trigger = browse(world.admin), Trigger.objects.get()
    url = f"/triggers/{trigger.pk}/"
    assert "paused" in client.post(url, {"do": "keep"}, follow=True).content.decode()
    client.post(url, {"do": "limits", "max_concurrent": "2", "on_limit": "skip"})
    refused = client.post(url, {"do": "limits", "max_concurrent": "many"}, follow=True).content.decode()
    assert "max_concurrent is a whole number from 1 to 10000" in refused
    trigger.refresh_from_db()
    assert (trigger.max_concurrent, trigger.on_limit, trigger.backlog) == (2, "skip", "keep")
    client.post(url, {"do": "reset"})
    client.post(url, {"do": "resume"})
    trigger.refresh_from_db()
    assert (trigger.max_concurrent, trigger.paused_at) == (None, None)
    assert AuditEvent.objects.filter(verb__startswith="trigger.").count() == 4


def test_a_viewer_may_not_switch(world: World, browse: Browse) -> None:
    trigger = Trigger.objects.get()
    assert browse(world.viewer).post(f"/triggers/{trigger.pk}/", {"do": "keep"}).status_code == 403
    assert (
        "Pause, keep backlog"
        not in browse(world.viewer).get("/launch-plans/demo/development/train_on_dataset/").content.decode()
    )


def test_it_says_in_words_what_a_trigger_on_several_artifacts_waits_for(world: World, browse: Browse) -> None:
    trigger = Trigger.objects.get()
    TriggerSource.objects.create(
        trigger=trigger, position=1, project="demo", domain="development", name="other", partitions={"region": "SEA"}
    )
    client = browse(world.admin)
    any_of = client.get("/launch-plans/").content.decode()
    assert "when a version of ml-dataset or other with region=SEA is published" in any_of
    Trigger.objects.update(mode="all", join_on=["region"])
    all_of = client.get("/launch-plans/").content.decode()
    assert "when versions of ml-dataset and other with region=SEA with the same region are published" in all_of


def test_the_ledger_does_not_name_versions_of_projects_one_may_not_read(world: World, browse: Browse) -> None:
    secret = make_version("secret-data", Kind.DATASET, project="elsewhere", partitions={"region": "HIDDEN-PORT"})
    now = timezone.now()
    trigger = Trigger.objects.get()
    TriggerFiring.objects.create(trigger=trigger, version=secret, outcome="fired", published_at=now, at=now)
    assert "secret-data" not in browse(world.viewer).get("/").content.decode()
    for page in ("/reactions/", "/launch-plans/demo/development/train_on_dataset/"):
        assert "secret-data" in browse(world.admin).get(page).content.decode()
        text = browse(world.viewer).get(page).content.decode()
        assert "a version you may not read" in text
        assert "secret-data" not in text and "HIDDEN-PORT" not in text
        assert f"/artifacts/versions/{secret.pk}/" not in text


@pytest.mark.parametrize("word", ["pause", "", "deleted.by.somebody", "x" * 70])
def test_a_word_that_is_no_switch_changes_nothing(world: World, browse: Browse, word: str) -> None:
    trigger = Trigger.objects.get()
    Trigger.objects.filter(pk=trigger.pk).update(max_concurrent=3)
    rows = AuditEvent.objects.count()
    answer = browse(world.admin).post(f"/triggers/{trigger.pk}/", {"do": word})
    assert answer.status_code == 400
    trigger.refresh_from_db()
    assert (trigger.max_concurrent, trigger.paused_at, AuditEvent.objects.count()) == (3, None, rows)
