"""What other systems told of long ago is forgotten, and what versions came of is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from artifacts.actions.publish import Publication, publish_all
from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion
from lineage.actions import outside_retention
from lineage.actions.dataset_rules import Wanted, make_rule
from lineage.actions.outside import Sender, take_in
from lineage.actions.outside_retention import forget_outside
from lineage.models import Derivation, OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.outside.events import read_event
from tests.lineage.outside_events import START, day_of

pytestmark = pytest.mark.django_db
PLACE = ("demo", "development")
DAYS = 6


def publish(publications: Sequence[Publication]) -> list[ArtifactVersion | CausewayError]:
    return [outcome.version for outcome in publish_all(publications, actor="ann")]


def told(*days: int) -> None:
    events = [read_event(one) for day in days for one in day_of(day)]
    take_in(events, PLACE, sender=Sender(publish, lambda project, domain: True))


def forget(before: datetime) -> int:
    return forget_outside(before=before, seconds=60)


def test_runs_from_before_go_and_those_that_versions_came_of_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_retention, "BATCH", 2)
    make_rule(*PLACE, Wanted("postgres://*", "shop.{schema}.{table}", "{schema}-{table}"), actor="ada")
    told(*range(DAYS))
    versions, derived = ArtifactVersion.objects.count(), Derivation.objects.count()
    runs, last = OutsideRun.objects.count(), START + timedelta(days=DAYS - 2)
    makers = set(OutsideUse.objects.exclude(version=None).values_list("run_id", flat=True))
    old = set(OutsideRun.objects.filter(seen_at__lt=last).values_list("pk", flat=True))
    assert forget(last) == len(old - makers) > 0
    assert set(OutsideRun.objects.filter(seen_at__lt=last).values_list("pk", flat=True)) == old & makers
    assert OutsideRun.objects.count() == runs - len(old - makers)
    assert not OutsideUse.objects.filter(run_id__in=old - makers).exists()
    assert (ArtifactVersion.objects.count(), Derivation.objects.count()) == (versions, derived)
    assert forget(last) == 0


def test_jobs_and_datasets_go_with_the_last_that_was_told_of_them() -> None:
    told(*range(DAYS))
    assert forget(START + timedelta(days=DAYS - 1)) > 0
    assert OutsideJob.objects.exists() and OutsideDataset.objects.exists(), "the last day tells of them still"
    forget(START + timedelta(days=DAYS + 1))
    assert not any(model._default_manager.exists() for model in (OutsideRun, OutsideUse, OutsideJob, OutsideDataset))


def test_what_is_told_again_begins_anew() -> None:
    told(*range(DAYS))
    runs = OutsideRun.objects.count()
    forget(START + timedelta(days=DAYS + 1))
    told(*range(DAYS))
    assert OutsideRun.objects.count() == runs
