"""A query of SQLAlchemy as a task: its rows go into another library's frame."""

import polars as pl
from flytekit import kwtypes, task, workflow
from flytekit.types.schema import FlyteSchema
from flytekitplugins.sqlalchemy import SQLAlchemyConfig, SQLAlchemyTask

IMAGE = "ghcr.io/isles/frames:v1"
COUNTED = """
with recursive counted(fish) as (select 1 union all select fish + 1 from counted where fish < {{ .inputs.most }})
select fish, fish * fish as squared from counted
"""

counted = SQLAlchemyTask(
    "frames.queries.counted",
    query_template=COUNTED,
    inputs=kwtypes(most=int),
    output_schema_type=FlyteSchema[kwtypes(fish=int, squared=int)],
    task_config=SQLAlchemyConfig(uri="sqlite://"),
    container_image=IMAGE,
)


@task(container_image=IMAGE)
def sums(rows: pl.DataFrame) -> str:
    return f"{rows.columns} {rows['squared'].sum()}"


@workflow
def query_wf(n: int = 4) -> str:
    return sums(rows=counted(most=n))
