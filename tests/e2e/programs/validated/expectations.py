"""Great Expectations as its own pages use it, in tasks: a suite over a batch, and a checkpoint."""

from typing import Annotated

import great_expectations as gx
import pandas as pd
from causeway import decks
from flytekit import Artifact, task, workflow

IMAGE = "ghcr.io/isles/expectations:v1"


def suite() -> gx.ExpectationSuite:
    few = gx.expectations.ExpectColumnValuesToBeBetween(column="fish", max_value=100)
    return gx.ExpectationSuite(name="catch", expectations=[few, gx.expectations.ExpectColumnToExist(column="boat")])


def whole(context):
    asset = context.data_sources.add_pandas("isles").add_dataframe_asset("catch")
    return asset.add_batch_definition_whole_dataframe("all")


@task(container_image=IMAGE, enable_deck=True)
def land(fish: int) -> Annotated[pd.DataFrame, Artifact(name="expected-catches")]:
    rows = pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})
    result = whole(gx.get_context(mode="ephemeral")).get_batch({"dataframe": rows}).validate(suite())
    decks.show(decks.quality(result), name="Quality")
    return rows


@task(container_image=IMAGE)
def land_by_checkpoint(fish: int) -> Annotated[pd.DataFrame, Artifact(name="checked-catches")]:
    rows = pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})
    context = gx.get_context(mode="ephemeral")
    definition = gx.ValidationDefinition(name="of catches", data=whole(context), suite=context.suites.add(suite()))
    context.validation_definitions.add(definition)
    checkpoint = context.checkpoints.add(gx.Checkpoint(name="landing", validation_definitions=[definition]))
    checkpoint.run(batch_parameters={"dataframe": rows})
    return rows


@workflow
def landing_wf(fish: int) -> None:
    land(fish=fish)
    land_by_checkpoint(fish=fish)
