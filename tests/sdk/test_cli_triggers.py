"""`causeway trigger` against the real API."""

from __future__ import annotations

import json

import pytest
from causeway import OnArtifact
from flytekit import LaunchPlan

from artifacts.models import ArtifactVersion
from scheduler.actions.launch_plans import set_state
from scheduler.models import LaunchPlan as LaunchPlanRow
from scheduler.models import Trigger, TriggerFiring
from tests.flyte import register_all
from tests.scheduler.triggers.plans import DATASET, one_input
from tests.sdk.conftest import Command


@pytest.fixture
def trigger(causeway: Command, object_store: str) -> Trigger:
    watching = OnArtifact(DATASET.query(region="SEA"), inputs={"n": DATASET})
    LaunchPlan.CACHE.pop("on_sea", None)
    register_all(LaunchPlan.create("on_sea", one_input, trigger=watching))
    set_state(LaunchPlanRow.objects.get(name="on_sea"), LaunchPlanRow.State.ACTIVE, actor="ada")
    causeway("artifact", "create", "ml-dataset", "--value", "7", "--version", "v1", "-P", "region=SEA")
    return Trigger.objects.get()


def test_it_shows_switches_and_limits(causeway: Command, trigger: Trigger) -> None:
    (listed,) = json.loads(causeway("trigger", "list", "--artifact", "ml-dataset", "--json"))
    assert (listed["id"], listed["state"], listed["watches"]) == (trigger.pk, "active", "ml-dataset")
    causeway("trigger", "pause", trigger.pk, "--backlog", "drop")
    assert "paused (drop)" in causeway("trigger", "show", trigger.pk)
    causeway("trigger", "resume", trigger.pk)
    assert "is not paused" in causeway("trigger", "resume", trigger.pk, exit_code=1)
    causeway("trigger", "limit", trigger.pk, "--max-concurrent", 2, "--rate", 5, 60, "--on-limit", "skip")
    trigger.refresh_from_db()
    assert (trigger.max_concurrent, trigger.rate_count, trigger.rate_seconds) == (2, 5, 60)
    causeway("trigger", "limit", trigger.pk, "--reset")
    trigger.refresh_from_db()
    assert trigger.max_concurrent is None


def test_it_previews_a_version_and_one_that_does_not_exist(causeway: Command, trigger: Trigger) -> None:
    (there,) = json.loads(causeway("trigger", "preview", "ml-dataset", "v1", "--json"))
    assert there["launches"] and there["inputs"]["n"]["version"] == "v1"
    (other,) = json.loads(causeway("trigger", "preview", "ml-dataset", "-P", "region=LAX", "--json"))
    assert (other["launches"], other["reason"]) == (False, "watches region=SEA")
    assert "has its partitions" in causeway("trigger", "preview", "ml-dataset", "v1", "-P", "region=LAX", exit_code=2)


def test_a_preview_takes_an_address_as_every_command_does(causeway: Command, trigger: Trigger) -> None:
    address = "flyte://av0.1/demo/development/ml-dataset"
    (by_version,) = json.loads(causeway("trigger", "preview", f"{address}@v1", "--json"))
    assert by_version["launches"] and by_version["inputs"]["n"]["version"] == "v1"
    (by_partition,) = json.loads(causeway("trigger", "preview", f"{address}?region=LAX", "--json"))
    assert (by_partition["launches"], by_partition["reason"]) == (False, "watches region=SEA")


def test_it_shows_the_ledger_and_tries_again(causeway: Command, trigger: Trigger) -> None:
    version = ArtifactVersion.objects.get()
    firing = TriggerFiring.objects.create(
        trigger=trigger, version=version, outcome="skipped", reason="why", published_at=version.created_at,
        at=version.created_at,
    )  # fmt: skip
    (row,) = json.loads(causeway("trigger", "firings", "--outcome", "skipped", "--json"))
    assert (row["id"], row["reason"]) == (firing.pk, "why")
    assert causeway("trigger", "retry", firing.pk).startswith("fired demo/development/t")
    assert json.loads(causeway("trigger", "firings", trigger.pk, "--json"))[0]["outcome"] == "fired"


def test_it_shows_what_a_firing_was_and_is(causeway: Command, trigger: Trigger) -> None:
    version = ArtifactVersion.objects.get()
    at = version.created_at
    before = {"outcome": "skipped", "at": at.isoformat(), "reason": "paused by ann"}
    firing = TriggerFiring.objects.create(
        trigger=trigger, version=version, outcome="unresolved", reason="why", published_at=at, at=at, history=[before]
    )
    _, was, now = causeway("trigger", "firing", firing.pk).splitlines()
    assert was.startswith("skipped") and was.endswith("paused by ann")
    assert now.startswith("unresolved") and now.endswith("why")
    assert json.loads(causeway("trigger", "firing", firing.pk, "--json"))["history"][0]["outcome"] == "skipped"
