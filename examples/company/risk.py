"""Payments of a day, and the model that stops the false ones: a person looks at it before it does."""

from datetime import timedelta
from typing import Annotated

from flytekit import CronSchedule, LaunchPlan, Resources, approve, task, workflow
from flytekit.core.artifact import Artifact, Inputs
from flytekit.types.file import FlyteFile

Payments = Artifact(name="payments-daily", partition_keys=["region"])
Fraud = Artifact(name="fraud-model", partition_keys=["region"])


@task(requests=Resources(cpu="2", mem="4Gi"))
def collect_payments(region: str) -> Annotated[FlyteFile, Payments(region=Inputs.region)]:
    """Payments of a day, without whatever names a person."""
    return FlyteFile("payments.parquet")


@workflow
def daily_payments(region: str = "SEA") -> FlyteFile:
    return collect_payments(region=region)


@task(requests=Resources(cpu="8", mem="32Gi"), retries=1)
def train_fraud(region: str, payments: FlyteFile) -> Annotated[FlyteFile, Fraud(region=Inputs.region)]:
    """A forest on a year of payments."""
    return FlyteFile("fraud.bin")


@task(enable_deck=True)
def examine_fraud(model: FlyteFile) -> float:
    """What would have been stopped last week."""
    return 0.9


@workflow
def train_fraud_model(region: str, payments: FlyteFile = Payments.query(region=Inputs.region)) -> FlyteFile:
    return train_fraud(region=region, payments=payments)


@workflow
def approve_fraud_model(region: str, model: FlyteFile = Fraud.query(region=Inputs.region)) -> float:
    score = examine_fraud(model=model)
    return approve(score, "approve_fraud_model", timeout=timedelta(days=3))


every_night = LaunchPlan.get_or_create(
    name="payments_nightly", workflow=daily_payments, schedule=CronSchedule(schedule="30 1 * * *")
)
