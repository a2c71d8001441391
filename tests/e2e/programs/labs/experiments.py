"""Notebooks, frames with a schema, Polars: what flytekit's plug-ins bring, in an image of their own."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import pandera.pandas as pa
import polars as pl
from flytekit import Artifact, kwtypes, task, workflow
from flytekitplugins.papermill import NotebookTask
from pandera.typing import DataFrame, Series

IMAGE = "ghcr.io/isles/labs:v1"

square = NotebookTask(
    name="labs.experiments.square",
    notebook_path=str(Path(__file__).parent / "square.ipynb"),
    render_deck=True,
    enable_deck=True,
    inputs=kwtypes(side=float, unit=str),
    outputs=kwtypes(area=float, told=str),
    container_image=IMAGE,
)


@task(container_image=IMAGE)
def half(of: float) -> float:
    return of / 2


@workflow
def notebook_wf(side: float = 3.0) -> tuple[float, str]:
    area, told, notebook, rendered = square(side=side, unit="m")
    return half(of=area), told


class Catch(pa.DataFrameModel):
    boat: Series[str]
    fish: Series[int] = pa.Field(ge=0, le=100)


@task(container_image=IMAGE)
def land(fish: int) -> DataFrame[Catch]:
    return pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})


@task(container_image=IMAGE)
def land_untyped(fish: int) -> pd.DataFrame:
    return pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})


@task(container_image=IMAGE)
def count(catch: DataFrame[Catch]) -> int:
    return int(catch["fish"].sum())


@workflow
def pandera_wf(fish: int = 41) -> int:
    return count(catch=land(fish=fish))


@workflow
def pandera_input_wf(fish: int = 41) -> int:
    return count(catch=land_untyped(fish=fish))


@task(container_image=IMAGE)
def keep(fish: int) -> Annotated[DataFrame[Catch], Artifact(name="lab-catches")]:
    return pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})


@task(container_image=IMAGE)
def keep_untyped(fish: int) -> Annotated[pd.DataFrame, Artifact(name="lab-landings")]:
    return pd.DataFrame({"boat": ["Gull", "Tern"], "fish": [1, fish]})


@workflow
def kept_wf(fish: int = 41) -> None:
    keep(fish=fish)


@workflow
def read_wf(fish: int = 101) -> int:
    return count(catch=keep_untyped(fish=fish))


@task(container_image=IMAGE)
def waves(n: int) -> pl.DataFrame:
    return pl.DataFrame({"height": list(range(n)), "sea": ["calm", "rough"] * (n // 2)})


@task(container_image=IMAGE)
def rough(waves: pl.DataFrame) -> tuple[int, pl.LazyFrame]:
    return waves.filter(pl.col("sea") == "rough")["height"].sum(), waves.lazy()


@task(container_image=IMAGE)
def highest(waves: pl.LazyFrame) -> int:
    return waves.select(pl.col("height").max()).collect().item()


@task(container_image=IMAGE)
def as_pandas(waves: pd.DataFrame) -> list[int]:
    return [int(height) for height in waves["height"]]


@workflow
def polars_wf(n: int = 4) -> tuple[int, int, list[int]]:
    made = waves(n=n)
    total, lazy = rough(waves=made)
    return total, highest(waves=lazy), as_pandas(waves=made)
