"""The time partition is one of the partitions wherever they are shown, as people name it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from django.test import Client

from artifacts.models import Artifact, ArtifactVersion, Granularity, Kind
from artifacts.periods import format_period
from console.accounts.models import User
from lineage.models import VersionRole, Via
from tests.console.pages.cast import World, edge, make_version

Browse = Callable[[User], Client]
MOMENT = datetime(2026, 11, 26, 14, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("granularity", "text"),
    [
        (Granularity.MONTH, "2026-11"),
        (Granularity.DAY, "2026-11-26"),
        (Granularity.HOUR, "2026-11-26 14:00"),
        (Granularity.MINUTE, "2026-11-26 14:05"),
        (Granularity.UNSET, "2026-11-26 14:05"),
    ],
)
def test_a_period_is_named_as_coarsely_as_it_is(granularity: Granularity, text: str) -> None:
    assert format_period(MOMENT, granularity) == text


@pytest.fixture
def daily(world: World) -> ArtifactVersion:
    """A version of a day, used by and made by what every page shows."""
    day = MOMENT.replace(hour=0, minute=0)
    made = make_version("daily", Kind.DATASET, number=3, time_partition=day, execution_key=world.trains.key)
    make_version("daily", Kind.DATASET, number=4, time_partition=day)
    Artifact.objects.filter(pk=made.artifact_id).update(granularity=Granularity.DAY)
    edge(made, world.trains, VersionRole.PRODUCED, Via.OUTPUT, "o1")
    edge(made, world.evaluates, VersionRole.CONSUMED, Via.QUERY, "daily")
    return made


PLACES = [
    *("/", "/artifacts/", "/artifacts/demo/development/daily/", "/artifacts/versions/{version}/"),
    *("/artifacts/versions/{version}/lineage/", "/compare/?v={version}"),
    *("/artifacts/versions/{model}/lineage/", "/artifacts/versions/{version}/graph/"),
    *("/executions/demo/development/atrains/data/", "/artifacts/retention/{artifact}/?keep_newest=1"),
]


@pytest.mark.parametrize("place", PLACES)
def test_a_day_is_shown_as_a_day(world: World, browse: Browse, daily: ArtifactVersion, place: str) -> None:
    address = place.format(version=daily.pk, model=daily.pk, artifact=daily.artifact_id)

    text = " ".join(re.sub(r"<[^>]+>", " ", browse(world.admin).get(address).content.decode()).split())

    assert re.search(r"time[ =]2026-11-26(?! \d\d:)", text), text[:3000]
    assert "2026-11-26 00:00" not in text
