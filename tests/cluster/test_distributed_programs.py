"""A distributed flytekit program, from registration to outputs: one attempt is a job of a real operator."""

from __future__ import annotations

from typing import Any

import pytest
from flytekit.remote import FlyteWorkflowExecution

from tests.cluster.driving import PROGRAMS, Programs
from tests.cluster.running import Cluster
from tests.stack import RunningStack


@pytest.fixture(scope="module")
def fleet(pods_stack: RunningStack, operators: Cluster) -> Programs:
    return Programs(pods_stack, operators, PROGRAMS / "fleet.py")


def attempts(fleet: Programs, execution: FlyteWorkflowExecution) -> list[dict[str, Any]]:
    return list(fleet.get(execution, "nodes/n0/attempts")["results"])


def test_a_training_of_three_gives_one_output_and_shows_each_rank(fleet: Programs) -> None:
    execution = fleet.launch("training", failures=0)
    name = execution.id.name
    assert fleet.value(execution) == f"{name}: trained by 3"
    (attempt,) = attempts(fleet, execution)
    assert attempt["pod"].startswith("pytorchjob/")
    told = {one["name"]: one["state"] for one in fleet.get(execution, "nodes/n0/attempts/0/replicas")}
    assert set(told) == {"master-0", "worker-0", "worker-1"}
    assert told["master-0"] == "succeeded"


def test_a_worker_that_fails_costs_one_retry_of_the_task(fleet: Programs) -> None:
    execution = fleet.launch("training", failures=1)
    name = execution.id.name
    assert fleet.value(execution) == f"{name}: trained by 3"
    second, first = attempts(fleet, execution)
    assert "worker-0: the task's process ended with exit code 7" in first["error"]["message"]
    assert (first["phase"], second["phase"]) == ("FAILED", "SUCCEEDED")
