"""Launch plans with triggers, as users write them with flytekit and the SDK."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from causeway import OnArtifact
from flytekit import LaunchPlan as FlyteLaunchPlan
from flytekit import task, workflow
from flytekit.core.artifact import Artifact as FlyteArtifact

from scheduler.actions.launch_plans import set_state
from scheduler.models import LaunchPlan, Project, Trigger
from tests.artifacts.publishing import publish_output
from tests.flyte import register_all

PRIME = FlyteArtifact(name="prime")
DATASET = FlyteArtifact(name="ml-dataset", partition_keys=["region"])


@task
def double(n: int) -> int:
    return 2 * n


@workflow
def one_input(n: int) -> int:
    return double(n=n)


@workflow
def with_query_default(n: int = PRIME.query()) -> int:
    return double(n=n)


@workflow
def with_sea_default(n: int = DATASET.query(region="SEA")) -> int:
    return double(n=n)


@task
def note(n: int, at: datetime, text: str) -> str:
    return f"{n} {at} {text}"


@workflow
def with_time(n: int, at: datetime, text: str = "default") -> str:
    return note(n=n, at=at, text=text)


@task
def add(a: int, b: int) -> int:
    return a + b


@workflow
def two_inputs(a: int, b: int) -> int:
    return add(a=a, b=b)


@task
def describe(n: int, region: str, count: int) -> str:
    return f"{n} {region} {count}"


@workflow
def with_region(n: int, region: str, count: int) -> str:
    return describe(n=n, region=region, count=count)


def register_plan(
    trigger: Any, workflow: Any = one_input, *, name: str = "on_prime", version: str = "v1"
) -> LaunchPlan:
    """A registered, inactive launch plan."""
    for known in [plan for plan in FlyteLaunchPlan.CACHE if plan == name]:
        del FlyteLaunchPlan.CACHE[known]
    register_all(FlyteLaunchPlan.create(name, workflow, trigger=trigger), version=version, project="flytesnacks")
    return LaunchPlan.objects.get(name=name, version=version)


def active_plan(trigger: Any, workflow: Any = one_input, **over: str) -> Trigger:
    """A registered and active launch plan's trigger. It has been active since long before any test's versions."""
    plan = register_plan(trigger, workflow, **over)
    set_state(plan, LaunchPlan.State.ACTIVE, actor="ada")
    Trigger.objects.filter(launch_plan=plan).update(activated_at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    return Trigger.objects.select_related("launch_plan").get(launch_plan=plan)


__all__ = ["DATASET", "PRIME", "OnArtifact", "Project", "publish_output"]
