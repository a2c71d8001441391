"""What starts what: nobody calls anybody. Only who registers reads this module."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from causeway import OnArtifact
from flytekit import LaunchPlan, approve, workflow
from flytekit.core.artifact import Inputs
from flytekit.types.file import FlyteFile
from reactive.work import Approved, Model, Rows, deploy, examine, measure, train


@workflow
def publish(harbour: str) -> int:
    return measure(harbour=harbour)


@workflow
def training(harbour: str, rows: int) -> FlyteFile:
    return train(harbour=harbour, rows=rows)


@workflow
def examination(harbour: str, model: FlyteFile) -> Annotated[FlyteFile, Approved(harbour=Inputs.harbour)]:
    approve(examine(model=model), "approve_model", timeout=timedelta(hours=1))
    return model


@workflow
def deployment(harbour: str, model: FlyteFile) -> str:
    return deploy(harbour=harbour, model=model)


train_on_rows = LaunchPlan.get_or_create(
    name="train_on_rows",
    workflow=training,
    trigger=OnArtifact(trigger_on=Rows, inputs={"harbour": Rows.partitions.harbour, "rows": Rows}),
)
examine_models = LaunchPlan.get_or_create(
    name="examine_models",
    workflow=examination,
    trigger=OnArtifact(trigger_on=Model, inputs={"harbour": Model.partitions.harbour, "model": Model}),
)
deploy_approved = LaunchPlan.get_or_create(
    name="deploy_approved",
    workflow=deployment,
    trigger=OnArtifact(trigger_on=Approved, inputs={"harbour": Approved.partitions.harbour, "model": Approved}),
)
