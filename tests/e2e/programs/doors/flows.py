"""Launch plans that versions from other tools set off: one for each lab of tests/e2e/test_open_doors.py."""

from __future__ import annotations

from causeway import OnArtifact
from flytekit import LaunchPlan, task, workflow
from flytekit.core.artifact import Artifact

WATCHED = ("mart-sums", "churn", "orders", "sales", "weather", "answers", "flown-daily", "sparked-sums")


@task
def note() -> str:
    return "seen"


@workflow
def seen() -> str:
    return note()


for watched in WATCHED:
    LaunchPlan.get_or_create(
        workflow=seen, name=f"on-{watched}", trigger=OnArtifact(trigger_on=Artifact(name=watched), inputs={})
    )
