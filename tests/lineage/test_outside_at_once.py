"""Several senders tell of the same things at the same time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from artifacts.actions.publish import Publication, publish_all
from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion, Happening
from lineage.actions.dataset_rules import Wanted, make_rule
from lineage.actions.outside import Sender, take_in
from lineage.models import Derivation, OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.outside.events import read_event
from tests.lineage.outside_events import day_of

pytestmark = pytest.mark.django_db(transaction=True)
PLACE = ("demo", "development")
DAYS = 6


def publish(publications: Sequence[Publication]) -> list[ArtifactVersion | CausewayError]:
    return [outcome.version for outcome in publish_all(publications, actor="ann")]


def sending(seed: int) -> None:
    """All events, in an order of this sender's own, in batches of his own."""
    chance = random.Random(seed)  # noqa: S311 - reproducible
    events = [read_event(one) for day in range(DAYS) for one in day_of(day)]
    chance.shuffle(events)
    try:
        while events:
            size = chance.randint(1, 9)
            batch, events = events[:size], events[size:]
            take_in(batch, PLACE, sender=Sender(publish, lambda project, domain: True))
    finally:
        connection.close()


def counts() -> dict[str, Any]:
    return {
        "jobs": OutsideJob.objects.count(),
        "datasets": OutsideDataset.objects.count(),
        "runs": sorted(OutsideRun.objects.values_list("run_id", "state", "started_at", "ended_at", "parent")),
        "uses": OutsideUse.objects.count(),
        "versions": sorted(ArtifactVersion.objects.values_list("artifact__name", "version")),
        "made of": Derivation.objects.count(),
    }


def test_senders_side_by_side_give_what_one_alone_gives() -> None:
    make_rule(*PLACE, Wanted("postgres://*", "shop.{schema}.{table}", "{schema}-{table}"), actor="ada")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sending, range(4)))
    at_once = counts()
    for model in (OutsideUse, OutsideRun, OutsideJob, OutsideDataset, Derivation, Happening, ArtifactVersion):
        model._default_manager.all().delete()
    sending(99)
    assert counts() == at_once
    assert at_once["made of"] == DAYS, "each day's mart is made of its table"
    assert len(at_once["runs"]) == 4 * DAYS
