"""WhyLogs as its own pages use it, in a task: a profile of a frame, and constraints of it."""

from typing import Annotated

import pandas as pd
import whylogs as why
from causeway import decks
from flytekit import Artifact, task, workflow
from whylogs.core.constraints import ConstraintsBuilder
from whylogs.core.constraints.factories import no_missing_values, smaller_than_number

IMAGE = "ghcr.io/isles/profiles:v1"


@task(container_image=IMAGE, enable_deck=True)
def land(fish: int) -> Annotated[pd.DataFrame, Artifact(name="profiled-catches")]:
    rows = pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})
    view = why.log(rows).profile().view()
    builder = ConstraintsBuilder(dataset_profile_view=view)
    builder.add_constraint(smaller_than_number(column_name="fish", number=100))
    builder.add_constraint(no_missing_values(column_name="boat"))
    constraints = builder.build()
    constraints.validate()
    decks.show(decks.quality(view, title="Profile"), decks.quality(constraints), name="Quality")
    return rows


@workflow
def landing_wf(fish: int) -> None:
    land(fish=fish)
