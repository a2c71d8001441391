"""Pages about what other systems told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from artifacts.models import ArtifactVersion
from console import openlineage
from console.accounts.models import Role, RoleBinding, User
from lineage.actions.dataset_rules import Wanted, make_rule
from lineage.models import OutsideDataset, OutsideJob, OutsideRun
from tests.console.pages.cast import World
from tests.lineage.outside_events import dataset, day_of, event

Browse = Callable[[User], Client]


@pytest.fixture
def told(world: World, object_store: str) -> World:
    wanted = Wanted("postgres://*", "shop.{schema}.{table}", "{schema}-{table}")
    make_rule("demo", "development", wanted, actor="root")
    openlineage.receive(json.dumps(day_of(0)).encode(), ("demo", "development"), user=world.admin)
    return world


def addresses() -> list[str]:
    found = ["/elsewhere/", "/elsewhere/?kind=jobs"]
    for part, model in (("datasets", OutsideDataset), ("jobs", OutsideJob), ("runs", OutsideRun)):
        found += [f"/elsewhere/{part}/{pk}/" for pk in model._default_manager.values_list("pk", flat=True)]
    return found


def test_every_page_answers_and_strangers_see_nothing(told: World, browse: Browse) -> None:
    stranger = User.objects.create(username="stranger")
    RoleBinding.objects.create(user=stranger, role=Role.ADMIN, project="elsewhere")
    for address in addresses():
        assert browse(told.admin).get(address).status_code == 200, address
        if address.startswith("/elsewhere/?") or address == "/elsewhere/":
            assert b"shop" not in browse(stranger).get(address).content, address
        else:
            assert browse(stranger).get(address).status_code == 404, address


def test_a_dataset_shows_its_columns_and_what_they_are_made_of(told: World, browse: Browse) -> None:
    mart = OutsideDataset.objects.get(name="shop.marts.daily")
    text = browse(told.admin).get(f"/elsewhere/datasets/{mart.pk}/").content.decode()
    for words in ("numeric", "shop.public.orders: eur", "dbt.daily", "app.features", "marts-daily"):
        assert words in text, words


def test_a_version_shows_the_runs_elsewhere_that_wrote_and_read_it(told: World, browse: Browse) -> None:
    version = ArtifactVersion.objects.get(artifact__name="public-orders")
    text = browse(told.admin).get(f"/artifacts/versions/{version.pk}/lineage/").content.decode()
    assert "written by" in text
    assert "shop.load" in text
    assert "shop.public.orders" in text


def test_what_others_wrote_is_text(world: World, browse: Browse) -> None:
    bad = dataset("<script>alert(1)</script>", "<b>x</b>", columns={"<i>c</i>": "t"})
    run = event("COMPLETE", uuid.UUID(int=1), "<u>j</u>", inputs=[bad], run_facets={"<s>": {"a": "</pre><script>"}})
    openlineage.receive(json.dumps(run).encode(), ("demo", "development"), user=world.admin)
    for address in addresses():
        text = browse(world.admin).get(address).content.decode()
        for tag in ("<script>alert", "<b>x", "<i>c", "<u>j", "</pre><script>", "<s>"):
            assert tag not in text, (address, tag)


def test_a_datasets_page_costs_the_same_however_many_runs_used_it(
    told: World, browse: Browse, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    events = [one for day in range(1, 6) for one in day_of(day)]
    openlineage.receive(json.dumps(events).encode(), ("demo", "development"), user=told.admin)
    client = browse(told.admin)
    mart = OutsideDataset.objects.get(name="shop.marts.daily")
    with django_assert_max_num_queries(14):
        assert client.get(f"/elsewhere/datasets/{mart.pk}/").status_code == 200
