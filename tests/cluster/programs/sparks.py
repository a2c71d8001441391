"""A Spark program as users write it, with flytekit's own plug-in, for an image whose Spark is mounted."""

from __future__ import annotations

from flytekit import current_context, task, workflow
from flytekitplugins.spark import Spark

CONF = {
    "spark.executor.instances": "2",
    **{f"spark.{role}.memory": "512m" for role in ("driver", "executor")},
    **{f"spark.kubernetes.{role}.request.cores": "50m" for role in ("driver", "executor")},
}
OF_IMAGE = {"executor_path": "python3", "applications_path": "local:///opt/packages/flytekit/bin/entrypoint.py"}


@task(task_config=Spark(spark_conf=CONF, **OF_IMAGE), pod_template_name="with-packages")
def total(numbers: int) -> str:
    context = current_context().spark_session.sparkContext
    found = context.parallelize(range(numbers), 8).sum()
    return f"{found} for {current_context().execution_id.name}"


@workflow
def adding(numbers: int) -> str:
    return total(numbers=numbers)
