"""Task types that ask for several processes are refused with the reason; what asks for one runs."""

from __future__ import annotations

from typing import Any

import pytest
from flyteidl.admin import matchable_resource_pb2
from flyteidl.core import tasks_pb2, workflow_pb2
from flytekit import PythonFunctionTask, workflow
from google.protobuf import json_format

from artifacts.exceptions import InvalidArgument
from scheduler.advance import advance
from scheduler.graphs import Target
from scheduler.models import TaskExecution
from scheduler.operators import JOBS, asks_for, environment, way_out
from scheduler.phases import ExecutionPhase
from scheduler.placement import Asked, Cluster, Kind, NoExecutor, NoPlace, place
from scheduler.task_resources import Platform, check_template, resources_of
from tests.scheduler.driving import error_of, start, workflow_of

NO_RESOURCES: dict[str, Any] = {"resources": {}}


def template(kind: str, custom: dict[str, Any], **fields: Any) -> tasks_pb2.TaskTemplate:
    made = tasks_pb2.TaskTemplate(type=kind)
    made.id.name = "train"
    return json_format.ParseDict({"custom": custom, **fields}, made)


def replicas(number: float, **more: Any) -> dict[str, Any]:
    return {"replicas": number, **NO_RESOURCES, **more} if number else {**NO_RESOURCES, **more}


def elastic(least: float, most: float) -> dict[str, Any]:
    config = {"rdzvBackend": "c10d", "minReplicas": least, "maxReplicas": most, "nprocPerNode": 2.0}
    return {"elasticConfig": config, "workerReplicas": {"replicas": most}}


@pytest.mark.parametrize(
    ("kind", "custom", "words"),
    [
        ("pytorch", {"masterReplicas": replicas(1.0), "workerReplicas": replicas(2.0)}, "1 master and 2 workers"),
        ("pytorch", elastic(2.0, 2.0), "2 nodes"),
        ("pytorch", elastic(1.0, 4.0), "1 to 4 nodes"),
        ("pytorch", {"workers": 3.0}, "3 workers"),  # version 0
        ("tensorflow", {"chiefReplicas": replicas(1.0), "psReplicas": replicas(1.0)}, "1 chief and 1 parameter server"),
        ("mpi", {"launcherReplicas": replicas(1.0), "workerReplicas": replicas(1.0), "slots": 1.0}, "1 launcher"),
        ("mpi", {}, "mpirun"),
        ("spark", {"mainApplicationFile": "local:///x", "databricksConf": {}}, "driver and executors"),
        ("databricks", {}, "driver and executors"),
        ("dask", {"scheduler": NO_RESOURCES, "workers": {"numberOfWorkers": 1.0, **NO_RESOURCES}}, "and 1 worker:"),
        ("ray", {"rayCluster": {"workerGroupSpec": [{"groupName": "g", "replicas": 3.0}]}}, "3 workers"),
        ("container_array", {"parallelism": 2.0}, "each item"),
    ],
)
def test_what_asks_for_several_processes_is_refused_with_what_it_asks_for(
    kind: str, custom: dict[str, Any], words: str
) -> None:
    task = template(kind, custom)
    asked = Asked("1", task=task.id.name, task_type=task.type, processes=asks_for(task), way_out=way_out(task))
    with pytest.raises(NoExecutor) as refused:
        place(asked, [Kind("local")])
    said = refused.value.message
    assert words in said and kind in said and "train" in said


@pytest.mark.parametrize(
    ("kind", "custom"),
    [
        ("pytorch", {"masterReplicas": replicas(1.0), "workerReplicas": replicas(0)}),
        ("pytorch", elastic(1.0, 1.0)),
        ("tensorflow", {"chiefReplicas": replicas(0), "workerReplicas": replicas(1.0)}),
        ("ray", {"rayCluster": {"headGroupSpec": {}}}),
        ("python-task", {}),
        ("dbt-run", {}),
        ("raw-container", {}),
        ("a-type-of-tomorrow", {"workerReplicas": replicas(9.0)}),
    ],
)
def test_what_asks_for_one_process_runs(kind: str, custom: dict[str, Any]) -> None:
    assert asks_for(template(kind, custom)) == ""


def test_an_item_of_an_old_map_is_one_process() -> None:
    assert asks_for(template("container_array", {}), item=True) == ""


def test_a_training_of_one_is_told_that_it_is_alone() -> None:
    alone = template("pytorch", {"masterReplicas": replicas(1.0)})
    assert environment(alone)["WORLD_SIZE"] == "1" and environment(alone)["RANK"] == "0"
    assert environment(template("pytorch", elastic(1.0, 1.0))) == {}
    assert environment(template("python-task", {})) == {}


@pytest.mark.parametrize(
    ("kind", "custom"),
    [
        (
            "pytorch",
            {"masterReplicas": {"replicas": 1.0, "resources": {"requests": [{"name": "CPU", "value": "2"}]}}},
        ),
        (
            "ray",
            {
                "rayCluster": {
                    "headGroupSpec": {
                        "k8sPod": {
                            "podSpec": {"containers": [{"name": "ray-head", "resources": {"requests": {"cpu": 2.0}}}]},
                            "primaryContainerName": "primary",
                        }
                    }
                }
            },
        ),
    ],
)
def test_what_a_plugin_asks_for_goes_before_the_container(kind: str, custom: dict[str, Any]) -> None:
    own = {"resources": {"requests": [{"name": "CPU", "value": "1"}]}}
    assert resources_of(Target(workflow_pb2.Node(), template(kind, custom, container=own))) == {"cpu": 2}


@pytest.mark.parametrize(
    ("kind", "custom", "words"),
    [
        ("mpi", {"launcherReplicas": replicas(1.0), "workerReplicas": replicas(0), "slots": 1.0}, "asks for no worker"),
        ("dask", {"scheduler": NO_RESOURCES, "workers": NO_RESOURCES}, "asks for no worker"),
        ("tensorflow", {"psReplicas": replicas(2.0), "workerReplicas": replicas(0)}, "neither a chief nor a worker"),
        ("tensorflow", {"chiefReplicas": replicas(0), "workerReplicas": replicas(0)}, "neither a chief nor a worker"),
        ("ray", {"rayCluster": {"workerGroupSpec": [{"groupName": "g"}]}}, "group g has no replicas"),
        ("pytorch", {"workerReplicas": replicas(5000.0)}, "asks for 5,001 replicas in all; a job may have 1,000"),
        ("pytorch", {"workerReplicas": replicas(2.5)}, "worker replicas is 2.5"),
        ("pytorch", {"workerReplicas": replicas(-1.0)}, "worker replicas is -1"),
        (
            "ray",
            {"rayCluster": {"workerGroupSpec": [{"groupName": "g", "replicas": -2.0}]}},
            "group g's (replicas) replicas is -2",
        ),
        ("spark", {"sparkConf": {"spark.executor.instances": "0"}}, "it asks for no executor"),
        (
            "spark",
            {"sparkConf": {"spark.executor.instances": "two"}},
            "executor (spark.executor.instances) replicas is two",
        ),
        ("spark", {"sparkConf": {"spark.executor.instances": "-1"}}, "replicas is -1"),
        ("spark", {"sparkConf": {"spark.executor.instances": "5000"}}, "asks for 5,001 replicas in all"),
        ("dask", {"workers": {"numberOfWorkers": 1.5}}, "worker replicas is 1.5"),
        ("pytorch", elastic(4.0, 2.0), "at least 4 nodes and at most 2"),
        ("pytorch", {"workerReplicas": replicas(1.0, restartPolicy="RESTART_POLICY_ALWAYS")}, "could never end"),
        ("pytorch", {"workerReplicas": replicas(1.0, restartPolicy="RESTART_POLICY_EXIT_CODE")}, "as often as that"),
    ],
)
def test_a_job_that_could_not_run_or_end_is_refused_when_it_is_registered(
    kind: str, custom: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_template(template(kind, custom), None)
    assert refused.value.message.startswith("task train: ") and words in refused.value.message
    assert "\n" not in refused.value.message


def test_a_role_that_asks_for_what_cannot_be_is_refused_by_its_name() -> None:
    asked = {"requests": [{"name": "GPU", "value": "2"}], "limits": [{"name": "GPU", "value": "1"}]}
    job = template("pytorch", {"workerReplicas": {"replicas": 2.0, "resources": asked}})
    with pytest.raises(InvalidArgument, match="task train, worker: for gpu the request .2. must equal the limit .1."):
        check_template(job, None)


def test_a_project_limit_holds_for_each_replica_and_cuts_it_down() -> None:
    platform = Platform(limits=matchable_resource_pb2.TaskResourceSpec(cpu="2"))

    def amounts(cpu: str) -> dict[str, Any]:
        asked = {"requests": [{"name": "CPU", "value": cpu}]}
        job = template("pytorch", {"workerReplicas": {"replicas": 3.0, "resources": asked}})
        return resources_of(Target(workflow_pb2.Node(), job), platform)

    assert amounts("1") == {"cpu": 3}
    assert amounts("8") == {"cpu": 6}


def test_what_several_processes_ask_for_is_no_single_ones_affair() -> None:
    job = template("pytorch", {"masterReplicas": replicas(1.0), "workerReplicas": replicas(1.0)})
    assert environment(job) == {}, "the operator says where the master is"


def test_a_cluster_takes_jobs_that_the_machine_refuses() -> None:
    asked = Asked("1", task="train", task_type="pytorch", processes="2 nodes", label="")
    there = Cluster(name="gpu", kind="kubernetes")
    found = place(asked, [Kind("local"), Kind("kubernetes", clustered=True, plugins=JOBS)], [there])
    assert (found.executor, found.cluster) == ("kubernetes", "gpu")
    unknown = Asked("1", task="train", task_type="databricks", processes="a Spark driver")
    with pytest.raises(NoPlace):
        place(unknown, [Kind("local"), Kind("kubernetes", clustered=True, plugins=JOBS)], [there])


def test_a_custom_part_that_is_none_of_the_plugins_is_refused() -> None:
    odd = template("pytorch", {"masterReplicas": {"resources": {"requests": "much"}}})
    with pytest.raises(InvalidArgument, match="custom part"):
        resources_of(Target(workflow_pb2.Node(), odd))


def train(x: int) -> int:
    return x


class Configuration:
    """Of a plugin."""


class ClusterTask(PythonFunctionTask[Configuration]):  # type: ignore[misc]
    """As flytekitplugins-spark has it for a service of its own: a function task of another type."""

    def __init__(self, task_config: Configuration, task_function: Any, **kwargs: Any) -> None:
        super().__init__(task_config, task_function, task_type="databricks", **kwargs)


on_cluster = ClusterTask(Configuration(), train)


@workflow
def training(x: int) -> int:
    return on_cluster(x=x)


@pytest.mark.django_db
@pytest.mark.usefixtures("object_store")
def test_the_node_fails_before_an_attempt_is_made() -> None:
    execution = start(workflow_of(training), {"x": 1})
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.FAILED
    assert not TaskExecution.objects.filter(execution_id=execution.pk).exists()
    assert error_of(execution).code == "NoExecutor"
