"""Programs with flytekit's own plug-ins, from registration to outputs, on jobs of real operators: only where somebody
has their packages (test_jobs_of_spark.py and test_jobs_of_dask.py say which).
"""

from __future__ import annotations

from typing import Any

from flytekit.remote import FlyteWorkflowExecution

from tests.cluster.driving import PROGRAMS, Programs
from tests.cluster.packages import with_image, with_operator
from tests.cluster.running import Cluster
from tests.stack import RunningStack

DRIVERS: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "drivers"},
}


def mounting(packages: str) -> dict[str, Any]:
    """What is beneath all pods of programs that name it: their packages, from the node."""
    mounts = [{"name": "packages", "mountPath": "/opt/packages"}]
    env = [{"name": "PYTHONPATH", "value": "/opt/packages"}]
    container = {"name": "default", "image": "none:1", "env": env, "volumeMounts": mounts}
    spec = {"containers": [container], "volumes": [{"name": "packages", "hostPath": {"path": packages}}]}
    metadata = {"name": "with-packages"}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": {"spec": spec}}


def registered(stack: RunningStack, cluster: Cluster, name: str, packages: str, image: str = "") -> Programs:
    """In a project of their own, whose pods may make others, as a Spark driver does."""
    made = Programs(stack, cluster, PROGRAMS / f"{name}.py", name, image=image, packages=packages)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": made.namespace}
    for one in (mounting(packages), {**DRIVERS, "roleRef": role, "subjects": [account]}):
        cluster.apply({**one, "metadata": {**one["metadata"], "namespace": made.namespace}})
    return made


def roles(programs: Programs, execution: FlyteWorkflowExecution) -> list[str]:
    return sorted(one["role"] for one in programs.get(execution, "nodes/n0/attempts/0/replicas"))


def test_a_task_of_the_spark_plugin_adds_on_two_executors(pods_stack: RunningStack, cluster: Cluster) -> None:
    with with_operator(cluster, "spark", "pyspark") as packages:
        with_image("--spark")
        programs = registered(pods_stack, cluster, "sparks", packages, "localhost/task-spark:1")
        execution = programs.launch("adding", numbers=100)
        assert programs.value(execution) == f"4950 for {execution.id.name}"
        assert roles(programs, execution) == ["driver", "executor", "executor"]


def test_a_task_of_the_dask_plugin_adds_on_two_workers(pods_stack: RunningStack, cluster: Cluster) -> None:
    with with_operator(cluster, "dask", "distributed") as packages:
        programs = registered(pods_stack, cluster, "dasks", packages)
        execution = programs.launch("adding", numbers=100)
        assert programs.value(execution) == f"4950 by 2 workers for {execution.id.name}"
        assert roles(programs, execution) == ["runner", "scheduler", "worker", "worker"]
