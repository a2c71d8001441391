"""Versions published together: what nothing waits for is noted at once, the rest is left to be evaluated."""

from __future__ import annotations

import pytest
from causeway import OnArtifact
from flytekit.core.artifact import Artifact as FlyteArtifact

from artifacts.models import ArtifactVersion
from scheduler.tasks import evaluate_triggers_of
from scheduler.triggers.evaluate_many import pass_by
from tests.artifacts.publishing import START, publish_output
from tests.scheduler.triggers.plans import PRIME, active_plan

pytestmark = pytest.mark.django_db


def publish(artifact: object, execution: str) -> ArtifactVersion:
    return publish_output(artifact, 7, execution=execution, at=START).versions[0][1]  # type: ignore[arg-type]


def test_it_passes_by_what_nothing_watches(object_store: str) -> None:
    trigger = active_plan(OnArtifact(PRIME))
    watched, other = publish(PRIME, "e1"), publish(FlyteArtifact(name="other"), "e2")
    assert pass_by([watched.pk, other.pk]) == [watched.pk]
    watched.refresh_from_db()
    other.refresh_from_db()
    assert (watched.triggers_evaluated_at is None, other.triggers_evaluated_at is None) == (True, False)
    evaluate_triggers_of([watched.pk, other.pk])
    evaluate_triggers_of([watched.pk, other.pk])
    assert trigger.firings.count() == 1
