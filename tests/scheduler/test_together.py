"""What the process of a task of several processes is told to be on one machine, from what the plug-ins send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from artifacts.exceptions import InvalidArgument
from scheduler.executors import registry
from scheduler.placement import Asked, NoExecutor, Place, place
from scheduler.together import KEEP, VARIABLE, environment
from tests.scheduler.test_operators import elastic, replicas, template


def told(kind: str, custom: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(environment(template(kind, custom))[VARIABLE]))


@pytest.mark.parametrize(
    ("kind", "custom", "form"),
    [
        ("pytorch", {"masterReplicas": replicas(1.0), "workerReplicas": replicas(2.0)}, {"form": "torch", "count": 3}),
        ("pytorch", {"workers": 3.0}, {"form": "torch", "count": 4}),  # version 0, whose master is not said
        ("pytorch", elastic(2.0, 4.0), {"form": "elastic", "count": 4}),
        (
            "tensorflow",
            {"chiefReplicas": replicas(1.0), "psReplicas": replicas(1.0), "workerReplicas": replicas(2.0)},
            {"form": "tensorflow", "roles": {"chief": 1, "ps": 1, "worker": 2}, "count": 4},
        ),
        ("mpi", {"workerReplicas": replicas(2.0), "slots": 1.0}, {"form": "mpi"}),
        (
            "spark",
            {"sparkConf": {"spark.executor.instances": "3", "spark.executor.cores": "2"}, "hadoopConf": {"a.b": "c"}},
            {
                "form": "spark",
                "slots": 6,
                "conf": {
                    "spark.executor.instances": "3",
                    "spark.executor.cores": "2",
                    "spark.hadoop.a.b": "c",
                },
            },
        ),
        ("spark", {"databricksConf": {}}, {"form": "spark", "slots": 2, "conf": {}}),
        (
            "dask",
            {
                "scheduler": {},
                "workers": {
                    "numberOfWorkers": 2.0,
                    "resources": {"limits": [{"name": "CPU", "value": "4"}, {"name": "MEMORY", "value": "2Gi"}]},
                },
            },
            {"form": "dask", "count": 2, "threads": 4, "memory": "2Gi"},
        ),
        (
            "ray",
            {
                "rayCluster": {
                    "workerGroupSpec": [{"replicas": 2.0, "rayStartParams": {"num-cpus": "3"}}, {"minReplicas": 1.0}]
                }
            },
            {"form": "ray", "count": 8},
        ),
    ],
)
def test_it_is_told_as_much_as_was_asked_for(kind: str, custom: dict[str, Any], form: dict[str, Any]) -> None:
    assert told(kind, custom) == form


@pytest.mark.parametrize(
    ("kind", "custom"),
    [
        ("pytorch", {"masterReplicas": replicas(1.0)}),
        ("pytorch", elastic(1.0, 1.0)),
        ("tensorflow", {"workerReplicas": replicas(1.0)}),
        ("python-task", {}),
        ("databricks", {}),
    ],
)
def test_one_plain_process_is_told_nothing(kind: str, custom: dict[str, Any]) -> None:
    assert environment(template(kind, custom)) == {}


def test_more_than_a_machine_runs_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="asks for 101 processes; one machine runs at most 64"):
        environment(template("pytorch", {"workerReplicas": replicas(100.0)}))


@pytest.mark.parametrize("kind", ["pytorch", "tensorflow", "mpi", "spark", "dask", "ray"])
def test_this_machine_takes_them(kind: str) -> None:
    assert place(Asked("1", task_type=kind, processes="several"), registry.kinds()) == Place("local")


def test_a_service_of_its_own_is_still_needed_for_databricks() -> None:
    with pytest.raises(NoExecutor):
        place(Asked("1", task_type="databricks", processes="several"), registry.kinds())


def kept(kind: str, seconds: str) -> dict[str, Any]:
    return dict(json.loads(environment(template(kind, {"workers": {}}), {KEEP: seconds})[VARIABLE]))


def test_a_cluster_is_kept_for_as_long_as_the_task_says() -> None:
    assert kept("dask", "600")["keep"] == 600
    assert "keep" not in told("dask", {"workers": {}})


@pytest.mark.parametrize("seconds", ["10m", "0", "-1", "86401", "1.5", "٣", "9" * 40])
def test_a_time_to_keep_that_is_none_is_refused(seconds: str) -> None:
    with pytest.raises(InvalidArgument, match="whole seconds, 1 to 86,400"):
        kept("ray", seconds)


def test_what_has_no_cluster_cannot_keep_one() -> None:
    with pytest.raises(InvalidArgument, match="for tasks of Spark, Dask and Ray, not of type python-task"):
        kept("python-task", "600")
