"""The matrix of partitions on an artifact's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from django.test import Client

from artifacts.actions.publish import Publication, publish
from artifacts.models import ArtifactVersion, Granularity
from console.accounts.models import User
from lineage.actions.record import record_derivations
from tests.artifacts.publishing import INT, integer
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)


def made(name: str, days: int, region: str) -> ArtifactVersion:
    at = DAY + timedelta(days=days)
    given = Publication(
        "demo",
        "development",
        name,
        integer(days),
        INT,
        partitions={"region": region},
        time_partition=at,
        granularity=Granularity.DAY,
    )
    return publish(given, actor="ann")


def test_it_shows_what_is_fresh_out_of_date_and_missing_and_leads_there(world: World, browse: Browse) -> None:
    source = made("raw", 0, "SEA")
    stale, fresh = made("sales", 0, "SEA"), made("sales", 2, "LAX")
    record_derivations([(source.pk, stale.pk)])
    made("raw", 0, "SEA")

    answer = browse(world.admin).get("/artifacts/demo/development/sales/")

    page = answer.content.decode()
    assert f'href="/artifacts/versions/{fresh.pk}/" title="LAX, 2026-03-03" aria-label="LAX, 2026-03-03, fresh"' in page
    assert (
        'aria-label="SEA, 2026-03-01, out of date"' in page
        and 'aria-label="SEA, 2026-03-02, missing: launch it"' in page
    )
    assert (answer.context["missing"], answer.context["stale_places"]) == (4, {stale.pk})


def test_one_place_alone_is_no_matrix(world: World, browse: Browse) -> None:
    made("sales", 0, "SEA")
    assert "matrix" not in browse(world.admin).get("/artifacts/demo/development/sales/").context
