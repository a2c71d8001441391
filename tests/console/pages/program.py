# mypy: ignore-errors
"""Three teams' workflows, as small as they can be and still have everything the console shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from causeway import OnArtifact
from flytekit import LaunchPlan, approve, task, workflow
from flytekit.core.artifact import Artifact, Inputs
from flytekit.types.file import FlyteFile

Dataset = Artifact(name="ml-dataset", partition_keys=["region"])
Model = Artifact(name="ml-model", partition_keys=["region"])


@task
def clean(region: str, rows: int) -> Annotated[FlyteFile, Dataset(region=Inputs.region)]:
    """Takes out what nobody can use."""
    return FlyteFile("data.csv")


@task(retries=2)
def train(region: str, dataset: FlyteFile, depth: int) -> Annotated[FlyteFile, Model(region=Inputs.region)]:
    return FlyteFile("model.bin")


@task(enable_deck=True)
def examine(model: FlyteFile) -> float:
    return 0.97


@workflow
def make_dataset(region: str = "SEA", rows: int = 569) -> FlyteFile:
    return clean(region=region, rows=rows)


@workflow
def train_model(region: str, dataset: FlyteFile = Dataset.query(region=Inputs.region), depth: int = 4) -> FlyteFile:  # noqa: B008
    return train(region=region, dataset=dataset, depth=depth)


@workflow
def evaluate_model(model: FlyteFile = Model.query(region="SEA")) -> float:  # noqa: B008
    score = examine(model=model)
    return approve(score, "approve_model", timeout=timedelta(hours=24))


on_dataset = LaunchPlan.get_or_create(
    name="train_on_dataset",
    workflow=train_model,
    trigger=OnArtifact(trigger_on=Dataset, inputs={"region": Dataset.partitions.region, "dataset": Dataset}),
)
