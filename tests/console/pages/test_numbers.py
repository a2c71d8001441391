"""Numbers in addresses and forms: any text is answered, and what a form shows it takes back unchanged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from artifacts.models import RetentionPolicy
from console.accounts.models import User
from scheduler.models import Trigger
from tests.console.pages.browser import forms
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
FORM = "application/x-www-form-urlencoded"
LONG = "000001" + "1" * 5000


@pytest.mark.parametrize(
    "address",
    [
        f"/artifacts/versions/{{pk}}/graph/?depth={LONG}",
        f"/artifacts/versions/{{pk}}/compare/?with={LONG}",
        f"/artifacts/versions/{{pk}}/compare/?this={LONG}",
        "/executions/?before=0001-01-01T00:00:00%2B23:59_1",
        "/executions/?before=9999-12-31T23:59:59-23:59_1",
        f"/executions/?before=2026-01-01T00:00:00%2B00:00_{LONG}",
        f"/artifacts/?before={LONG}_{LONG}",
        f"/executions/demo/development/{'x' * 300}/",
        f"/artifacts/versions/{LONG}/",
        f"/approvals/{LONG}/",
        "/executions/?phase=%C2%B2",
    ],
)
def test_no_number_in_an_address_breaks_a_page(world: World, browse: Browse, address: str) -> None:
    assert browse(world.admin).get(address.format(pk=world.dataset.pk)).status_code in (200, 302, 400, 404)


@pytest.mark.parametrize("address", ["/executions/?a=1&a=%00&a=2", "/executions/?%00=1"])
def test_a_nul_is_refused_wherever_it_stands(world: World, browse: Browse, address: str) -> None:
    assert browse(world.admin).get(address).status_code == 400


@pytest.mark.parametrize("seconds", [0.5, 0.0001, 123456.789, 60.0, 86400.25])
def test_the_limits_of_a_trigger_are_saved_as_they_are_shown(world: World, browse: Browse, seconds: float) -> None:
    trigger = Trigger.objects.get()
    Trigger.objects.filter(pk=trigger.pk).update(rate_count=3, rate_seconds=seconds)
    browser = browse(world.admin)
    url = "/launch-plans/demo/development/train_on_dataset/"
    form = next(each for each in forms(browser.get(url).content.decode()) if "rate_seconds" in each.values())

    browser.post(f"/triggers/{trigger.pk}/", form.body() + "&do=limits", content_type=FORM)

    trigger.refresh_from_db()
    assert (trigger.rate_count, trigger.rate_seconds) == (3, seconds)


@pytest.mark.parametrize(
    "keep", [timedelta(days=30), timedelta(days=36, seconds=1), timedelta(hours=1, microseconds=7)]
)
def test_a_retention_rule_is_saved_as_it_is_shown(world: World, browse: Browse, keep: timedelta) -> None:
    artifact = world.dataset.artifact
    RetentionPolicy.objects.create(artifact=artifact, keep_newest=2, keep_for=keep, set_by="ada", set_at=world.now)
    browser, url = browse(world.admin), f"/artifacts/retention/{artifact.pk}/"
    form = next(each for each in forms(browser.get(url).content.decode()) if "keep_days" in each.values())

    browser.post(f"{url}set/", form.body(), content_type=FORM)

    assert RetentionPolicy.objects.get(artifact=artifact).keep_for == keep
