"""Secrets in every kind of task, pod templates, a cluster that is not there."""

from __future__ import annotations

import os

import flytekit
from flytekit import (
    ContainerTask,
    PodTemplate,
    PythonFunctionTask,
    Resources,
    Secret,
    dynamic,
    eager,
    kwtypes,
    map_task,
    task,
    workflow,
)
from flytekit.types.directory import FlyteDirectory
from kubernetes.client import V1Container, V1EnvVar, V1PodSpec

TOKEN = Secret(group="team", key="token", mount_requirement=Secret.MountType.ENV_VAR)
CERT = Secret(group="team", key="cert", mount_requirement=Secret.MountType.FILE, env_var="CERT")


def reveal() -> str:
    return flytekit.current_context().secrets.get("team", "token")


@task(secret_requests=[TOKEN])
def reads() -> str:
    return reveal()


@task(secret_requests=[TOKEN])
def reads_item(x: int) -> str:
    return f"{x} {reveal()}"


@task(secret_requests=[CERT], pod_template=PodTemplate())
def reads_file() -> str:
    with open(os.environ["CERT"]) as file:
        return file.read()


@task
def reads_without() -> str:
    try:
        return reveal()
    except ValueError as error:
        return "nothing" if "Unable to find secret" in str(error) else "something else"


@dynamic(secret_requests=[TOKEN])
def reads_and_starts() -> list[str]:
    return [reads(), reads_without()] if reveal() else []


@eager(secret_requests=[TOKEN])
async def eager_wf() -> str:
    return f"{reveal()} {reads()}"


raw = ContainerTask(
    name="guarded_raw",
    image="busybox",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(x=int),
    outputs=kwtypes(y=str),
    command=["sh", "-c", 'echo "$TOLD $(cat /var/inputs/x) $_FSEC_TEAM_TOKEN" > /var/outputs/y'],
    secret_requests=[TOKEN],
    requests=Resources(mem="100Mi"),
    pod_template=PodTemplate(
        pod_spec=V1PodSpec(containers=[V1Container(name="primary", env=[V1EnvVar(name="TOLD", value="told")])])
    ),
)


@workflow
def secrets_wf(xs: list[int]) -> tuple[str, list[str], str, str, list[str], str]:
    return reads(), map_task(reads_item)(x=xs), reads_file(), raw(x=7), reads_and_starts(), reads_without()


@task(secret_requests=[Secret(group="team", key="nobody-set-it")])
def asks_in_vain() -> str:
    return "started"


@workflow
def in_vain_wf() -> str:
    return asks_in_vain()


class Cluster:
    """The configuration of a plugin."""


class ClusterTask(PythonFunctionTask[Cluster]):
    """As flytekitplugins-spark has it for Databricks."""

    def __init__(self, task_config: Cluster, task_function, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(task_config, task_function, task_type="databricks", **kwargs)


def train(x: int) -> int:
    return x


on_cluster = ClusterTask(Cluster(), train)


@workflow
def cluster_wf(x: int) -> int:
    return on_cluster(x=x)




@task
def names(folder: FlyteDirectory) -> list[str]:
    return sorted(os.listdir(folder.download()))


@workflow
def folder_wf(folder: FlyteDirectory) -> list[str]:
    return names(folder=folder)
