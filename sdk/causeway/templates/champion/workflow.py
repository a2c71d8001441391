"""Challengers are trained beside the champion; the best of them is published with its measure, for the alias to move.

`causeway alias set best-model@VERSION champion` makes it the champion; `causeway serve best-model:champion` follows.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pandas as pd
from causeway import Artifact, Metrics, decks
from flytekit import map_task, task, workflow
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

Best = Artifact(name="best-model")


@dataclass
class Challenger:
    trees: int
    depth: int


@task
def challengers() -> list[Challenger]:
    return [Challenger(trees, depth) for trees in (10, 30) for depth in (3, 6)]


def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace it with your own data: a frame whose column `target` is what is to be told."""
    known, unseen = train_test_split(load_diabetes(as_frame=True).frame, test_size=0.3, random_state=0)
    return known, unseen


def fit(one: Challenger, seed: int) -> RandomForestRegressor:
    known, _ = rows()
    model = RandomForestRegressor(one.trees, max_depth=one.depth, random_state=seed)
    return model.fit(known.drop(columns="target"), known["target"])


@task(cache=True, cache_version="1", retries=1)
def measure(one: Challenger, seed: int) -> float:
    """The mean absolute error on rows that it was not trained with."""
    _, unseen = rows()
    return float(mean_absolute_error(unseen["target"], fit(one, seed).predict(unseen.drop(columns="target"))))


@task(enable_deck=True)
def publish(tried: list[Challenger], errors: list[float], seed: int) -> Annotated[RandomForestRegressor, Best]:
    ranked = sorted(zip(errors, tried, strict=True), key=lambda pair: pair[0])
    table = [{"trees": one.trees, "depth": one.depth, "error": error} for error, one in ranked]
    error, best = ranked[0]
    model = fit(best, seed)
    names = list(rows()[0].drop(columns="target"))
    decks.show(decks.table(table, title="Challengers"), decks.importance(model, names=names), name="Challengers")
    return Best.create_from(model, Metrics(error=error, trees=best.trees, depth=best.depth))


@workflow
def champion_and_challengers(seed: int = 0) -> RandomForestRegressor:
    tried = challengers()
    errors = map_task(partial(measure, seed=seed))(one=tried)
    return publish(tried=tried, errors=errors, seed=seed)
