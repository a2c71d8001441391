"""Spark makes features of raw rows, and scikit-learn a model of them: two tasks, two sets of libraries.

On one machine Spark runs in local mode; on a cluster with the Spark operator the same program is its job.
Needs `flytekitplugins-spark`, `pyspark` and Java where the tasks run.
"""

from typing import Annotated

import flytekit
import pandas as pd
from causeway import Artifact
from flytekit import Resources, task, workflow
from flytekitplugins.spark import Spark
from sklearn.linear_model import LinearRegression

Features = Artifact(name="features")
Model = Artifact(name="model-of-features")


@task(
    task_config=Spark(spark_conf={"spark.executor.instances": "2", "spark.driver.memory": "1g"}),
    requests=Resources(cpu="2", mem="2Gi"),
)
def extract(rows: int) -> Annotated[pd.DataFrame, Features]:
    """Replace the first line with your own source: `session.read.parquet(...)`."""
    session = flytekit.current_context().spark_session
    raw = session.range(rows).selectExpr("id", "id % 7 AS weekday", "id * 2.0 + (id % 7) AS sold")
    features = raw.groupBy("weekday").agg({"sold": "avg", "id": "avg"})
    named = features.withColumnRenamed("avg(sold)", "sold").withColumnRenamed("avg(id)", "day")
    return Features.create_from(named.toPandas())


@task
def train(features: pd.DataFrame) -> Annotated[LinearRegression, Model]:
    return Model.create_from(LinearRegression().fit(features[["weekday", "day"]], features["sold"]))


@workflow
def etl_to_model(rows: int = 1000) -> LinearRegression:
    return train(features=extract(rows=rows))
