"""Predictions for many rows: a map over parts of the data, each a task of its own with retries and cache.

The model is an input: launched with another version of it, only predictions are made anew.
"""

from functools import partial
from typing import Annotated

import pandas as pd
from causeway import Artifact
from flytekit import map_task, task, workflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

Predictions = Artifact(name="predictions")


@task(cache=True, cache_version="1")
def train() -> LogisticRegression:
    """Replace it by an input of the workflow: `model: LogisticRegression = YourModel.query(alias="champion")`."""
    frame = load_iris(as_frame=True).frame
    return LogisticRegression(max_iter=500).fit(frame.drop(columns="target"), frame["target"])


@task(cache=True, cache_version="1")
def parts(number: int) -> list[pd.DataFrame]:
    """Replace it with your own: the parts of what is to be predicted, each small enough for one task."""
    frame = load_iris(as_frame=True).frame.drop(columns="target")
    return [frame.iloc[part::number].reset_index(drop=True) for part in range(number)]


@task(cache=True, cache_version="1", retries=2)
def predict(part: pd.DataFrame, model: LogisticRegression) -> pd.DataFrame:
    return part.assign(prediction=model.predict(part))


@task
def gather(done: list[pd.DataFrame]) -> Annotated[pd.DataFrame, Predictions]:
    return Predictions.create_from(pd.concat(done, ignore_index=True))


@workflow
def batch_inference(number: int = 4) -> pd.DataFrame:
    done = map_task(partial(predict, model=train()), concurrency=8)(part=parts(number=number))
    return gather(done=done)
