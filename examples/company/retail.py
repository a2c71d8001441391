"""Daily sales of each region become features, a model of the demand, and a forecast for every store."""

from datetime import datetime, timedelta, timezone
from typing import Annotated

from causeway import OnArtifact
from flytekit import CronSchedule, LaunchPlan, Resources, approve, map_task, task, workflow
from flytekit.core.artifact import Artifact, Granularity, Inputs
from flytekit.types.file import FlyteFile

Sales = Artifact(
    name="sales-daily", partition_keys=["region"], time_partitioned=True, time_partition_granularity=Granularity.DAY
)
Features = Artifact(
    name="features-daily", partition_keys=["region"], time_partitioned=True, time_partition_granularity=Granularity.DAY
)
Demand = Artifact(name="demand-model", partition_keys=["region"])
Forecast = Artifact(name="store-forecast", partition_keys=["region"])


@task(requests=Resources(cpu="1", mem="2Gi"), retries=1)
def load_sales(
    region: str, day: datetime
) -> Annotated[FlyteFile, Sales(region=Inputs.region, time_partition=Inputs.day)]:
    """What the tills of a region took in on one day."""
    return FlyteFile("sales.parquet")


@task(requests=Resources(cpu="2", mem="4Gi"))
def make_features(
    region: str, day: datetime, sales: FlyteFile
) -> Annotated[FlyteFile, Features(region=Inputs.region, time_partition=Inputs.day)]:
    """Weekdays, holidays, weather, what was sold a week and a year before."""
    return FlyteFile("features.parquet")


@workflow
def nightly_features(region: str = "SEA", day: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> FlyteFile:
    return make_features(region=region, day=day, sales=load_sales(region=region, day=day))


@task(requests=Resources(cpu="4", mem="8Gi"), retries=2)
def train_demand(region: str, features: FlyteFile, depth: int) -> Annotated[FlyteFile, Demand(region=Inputs.region)]:
    """Gradient boosting on the last two years."""
    return FlyteFile("model.bin")


@task(enable_deck=True, requests=Resources(cpu="1", mem="2Gi"))
def examine_demand(model: FlyteFile) -> float:
    """Errors by store and weekday, beside those of the champion."""
    return 0.1


@workflow
def train_demand_model(region: str, features: FlyteFile, depth: int = 6) -> FlyteFile:
    model = train_demand(region=region, features=features, depth=depth)
    examine_demand(model=model)
    return model


@workflow
def approve_demand_model(region: str, model: FlyteFile = Demand.query(region=Inputs.region)) -> float:
    score = examine_demand(model=model)
    return approve(score, "approve_demand_model", timeout=timedelta(days=7))


@task(requests=Resources(cpu="1", mem="1Gi"))
def score_store(store: int) -> float:
    """What one store will sell in the next fortnight."""
    return 1.0


@task(requests=Resources(cpu="1", mem="2Gi"))
def join_forecast(region: str, scores: list[float]) -> Annotated[FlyteFile, Forecast(region=Inputs.region)]:
    return FlyteFile("forecast.parquet")


@workflow
def score_stores(region: str, stores: list[int]) -> FlyteFile:
    return join_forecast(region=region, scores=map_task(score_store, concurrency=40)(store=stores))


train_on_features = LaunchPlan.get_or_create(
    name="train_on_features",
    workflow=train_demand_model,
    trigger=OnArtifact(trigger_on=Features, inputs={"region": Features.partitions.region, "features": Features}),
)
nightly = [
    LaunchPlan.get_or_create(
        name=f"nightly_{region.lower()}",
        workflow=nightly_features,
        fixed_inputs={"region": region},
        schedule=CronSchedule(schedule=f"{minute} 3 * * *", kickoff_time_input_arg="day"),
    )
    for minute, region in enumerate(("SEA", "LAX", "NYC", "BOS", "CHI"))
]
