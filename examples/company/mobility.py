"""Trips of the last hour, the model that says when a car will arrive, and the heartbeat of the fleet."""

from datetime import timedelta
from typing import Annotated

from causeway import OnArtifact
from flytekit import FixedRate, LaunchPlan, Resources, task, workflow
from flytekit.core.artifact import Artifact, Inputs
from flytekit.types.file import FlyteFile

Trips = Artifact(name="trips-hourly", partition_keys=["region"])
Eta = Artifact(name="eta-model", partition_keys=["region"])
Ping = Artifact(name="fleet-ping", partition_keys=["region"])
Seen = Artifact(name="fleet-seen", partition_keys=["region"])


@task(requests=Resources(cpu="1", mem="1Gi"))
def ingest_trips(region: str) -> Annotated[FlyteFile, Trips(region=Inputs.region)]:
    """Trips that ended in the last hour."""
    return FlyteFile("trips.parquet")


@workflow
def hourly_trips(region: str = "SEA") -> FlyteFile:
    return ingest_trips(region=region)


@task(requests=Resources(cpu="4", mem="16Gi", gpu="1"), retries=1)
def train_eta(region: str, trips: FlyteFile) -> Annotated[FlyteFile, Eta(region=Inputs.region)]:
    """A small transformer over the roads of a region."""
    return FlyteFile("eta.pt")


@workflow
def train_eta_model(region: str, trips: FlyteFile = Trips.query(region=Inputs.region)) -> FlyteFile:
    return train_eta(region=region, trips=trips)


@task
def note_ping(region: str, ping: FlyteFile) -> Annotated[FlyteFile, Seen(region=Inputs.region)]:
    """Notes that a car is there."""
    return FlyteFile("seen.json")


@workflow
def fleet_heartbeat(region: str, ping: FlyteFile) -> FlyteFile:
    return note_ping(region=region, ping=ping)


every_hour = LaunchPlan.get_or_create(
    name="trips_every_hour", workflow=hourly_trips, schedule=FixedRate(duration=timedelta(hours=1))
)
on_ping = LaunchPlan.get_or_create(
    name="heartbeat",
    workflow=fleet_heartbeat,
    trigger=OnArtifact(trigger_on=Ping, inputs={"region": Ping.partitions.region, "ping": Ping}),
)
