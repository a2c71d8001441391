"""`script/fill`: what it makes up hangs together, and is written once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Count, F, Q
from django.test import Client
from django.utils import timezone as clock

from artifacts.alias_history import versions_before
from artifacts.models import Alias, ArtifactVersion, Metric
from artifacts.search import search
from artifacts.store import store
from console.accounts.models import User
from console.filling.company import Sizes
from console.filling.runs import NIGHT, runs
from lineage.models import VersionEdge
from scheduler.actions.launch import relaunch
from scheduler.advance import advance
from scheduler.models import (
    Execution,
    Gate,
    NodeExecution,
    PhaseEvent,
    ScheduleFire,
    TaskExecution,
    TriggerFiring,
)
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase

SIZES = ("--versions=900", "--executions=400", "--storm=60", "--waiting=2", "--map-items=20")


def _fill(*arguments: str) -> str:
    said = StringIO()
    call_command("fill", *SIZES, *arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def filled(db: None) -> str:
    return _fill()


def test_it_makes_as_much_as_was_asked_for_and_tells_the_rate(filled: str) -> None:
    assert Execution.objects.count() == 400
    assert ArtifactVersion.objects.count() == 900
    assert "rows a second" in filled


def test_time_lies_within_sixty_days_and_everything_in_its_order(filled: str) -> None:
    now = clock.now()
    assert not Execution.objects.filter(created_at__lt=now - timedelta(days=61)).exists()
    assert not Execution.objects.filter(created_at__gt=now).exists()
    ended = Execution.objects.filter(phase__in=sorted(EXECUTION_TERMINAL))
    assert not ended.filter(Q(ended_at__isnull=True) | Q(ended_at__lt=F("started_at"))).exists()
    assert not TaskExecution.objects.filter(started_at__lt=F("created_at")).exists()
    assert not TaskExecution.objects.filter(ended_at__lt=F("started_at")).exists()
    assert not NodeExecution.objects.filter(ended_at__gt=F("execution__ended_at") + timedelta(seconds=1)).exists()


@pytest.mark.parametrize("minute", range(-4, 12))
def test_whenever_it_is_filled_nothing_begins_or_ends_after_now(minute: int) -> None:
    """Around the hour of the nightly runs, of which some begin late and each takes its time."""
    now = datetime(2026, 11, 30, NIGHT, tzinfo=timezone.utc) + timedelta(minutes=minute, seconds=28)
    made = list(runs(Sizes(executions=900, versions=100, storm=300), now))
    assert len(made) == 900
    assert [one for one in made if one.at > now or (one.end or one.at) > now or one.seconds < 0] == []


def test_whoever_published_a_version_is_there(filled: str) -> None:
    keys = {run.key for run in Execution.objects.all()}
    published = ArtifactVersion.objects.exclude(execution_key="")
    assert published.exists()
    assert set(published.values_list("execution_key", flat=True)) <= keys
    assert set(VersionEdge.objects.values_list("execution_key", flat=True)) <= keys
    versions = Metric.objects.values("version").annotate(n=Count("pk"))
    assert versions.count() == ArtifactVersion.objects.exclude(metrics={}).count()


def test_nothing_is_left_for_the_engine_but_what_waits_for_people(filled: str) -> None:
    assert not Execution.objects.filter(dirty=True).exists()
    assert not TaskExecution.objects.filter(handled=False).exists()
    assert not ArtifactVersion.objects.filter(triggers_evaluated_at__isnull=True).exists()
    assert Execution.objects.exclude(phase__in=sorted(EXECUTION_TERMINAL)).count() == Gate.objects.count() == 2


def test_a_filled_gate_can_be_decided_and_its_execution_ends(filled: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    gate = Gate.objects.order_by("pk").first()
    assert gate is not None
    client.post(f"/approvals/{gate.pk}/decide/", {"decision": "approve"})
    advance(gate.execution_id)

    assert Execution.objects.get(pk=gate.execution_id).phase == ExecutionPhase.SUCCEEDED


def test_failures_gaps_storms_schedules_and_aliases_are_there(filled: str) -> None:
    assert Execution.objects.filter(phase=ExecutionPhase.FAILED).exclude(error=None).exists()
    days = ArtifactVersion.objects.filter(artifact__name="sales-daily").values("partitions__region", "time_partition")
    assert 150 < days.distinct().count() < 5 * 60  # of each region and day, with gaps
    recent = TriggerFiring.objects.filter(at__gt=clock.now() - timedelta(minutes=16))
    assert set(recent.values_list("outcome", flat=True)) >= {"fired", "skipped"}
    assert ScheduleFire.objects.exclude(execution=None).exists()
    champions = Alias.objects.filter(name="champion")
    assert champions.filter(partitions={}).exists() and champions.exclude(partitions={}).count() > 1  # one a region
    assert versions_before(champions)  # there is a way back
    assert PhaseEvent.objects.count() > Execution.objects.count()


def test_what_failed_is_launched_again(filled: str) -> None:
    failed = Execution.objects.filter(phase=ExecutionPhase.FAILED)
    plans = failed.values_list("launch_plan__name", flat=True).distinct()
    for name in plans:
        again = relaunch(failed.filter(launch_plan__name=name).latest("pk"), actor="ann")
        assert again.phase not in EXECUTION_TERMINAL, name


def test_versions_are_found_and_have_data(filled: str) -> None:
    version = ArtifactVersion.objects.filter(artifact__name="demand-model").order_by("-created_at").first()
    assert version is not None
    assert store().size(version.uri) == version.size_bytes
    assert search("name:demand-model region=SEA by:train_demand", ArtifactVersion.objects.all()).exists()


def test_it_refuses_an_installation_that_is_not_empty_unless_more_is_asked_for(filled: str) -> None:
    with pytest.raises(CommandError, match="--more"):
        _fill()
    assert Execution.objects.count() == 400
    _fill("--more")
    assert Execution.objects.count() == 800


def test_it_refuses_more_than_it_can(db: None) -> None:
    with pytest.raises(CommandError, match="at most 1,000,000 versions"):
        call_command("fill", "--versions=1000001")
