"""A frame through the libraries: each task has another one, what passes between them is Parquet."""

import flytekit
import pandas as pd
import polars as pl
import pyarrow as pa
from flytekit import kwtypes, task, workflow
from flytekitplugins.spark import Spark
from pyspark.sql import DataFrame as SparkFrame
from typing_extensions import Annotated

import modin.pandas as mpd

IMAGE = "ghcr.io/isles/frames:v1"
SPARK = Spark(spark_conf={"spark.executor.instances": "1", "spark.driver.memory": "600m"})
ENGINE = {"MODIN_ENGINE": "dask", "MODIN_CPUS": "2"}


@task(container_image=IMAGE, task_config=SPARK)
def of_spark(n: int) -> SparkFrame:
    session = flytekit.current_context().spark_session
    rows = [(number, "Gull" if number % 2 else None) for number in range(n)]
    return session.createDataFrame(rows, "fish long, boat string").repartition(2)


@task(container_image=IMAGE)
def of_polars(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(weight=pl.col("fish") * 0.5).sort("fish")


@task(container_image=IMAGE, environment=ENGINE)
def of_modin(rows: mpd.DataFrame) -> mpd.DataFrame:
    rows["twice"] = rows["fish"] * 2
    return rows


@task(container_image=IMAGE)
def of_arrow(rows: pa.Table) -> pa.Table:
    return rows.append_column("thrice", pa.array([3 * fish for fish in rows["fish"].to_pylist()]))


@task(container_image=IMAGE)
def of_pandas(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["fish"] > 0].reset_index(drop=True)  # else other libraries see the index as a column


@task(container_image=IMAGE, environment=ENGINE)
def of_modin_again(rows: Annotated[mpd.DataFrame, kwtypes(fish=int, boat=str)]) -> mpd.DataFrame:
    return rows


@task(container_image=IMAGE, task_config=SPARK)
def sums(rows: SparkFrame, few: SparkFrame) -> str:
    total = rows.selectExpr(
        "count(*)", "sum(fish)", "sum(weight)", "sum(twice)", "sum(thrice)", "count(boat)"
    ).collect()[0]
    return f"{list(total)} {sorted(few.columns)}"


@workflow
def frames_wf(n: int = 10) -> str:
    rows = of_pandas(rows=of_arrow(rows=of_modin(rows=of_polars(rows=of_spark(n=n)))))
    return sums(rows=rows, few=of_modin_again(rows=rows))
