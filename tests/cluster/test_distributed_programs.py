"""A distributed flytekit program, from registration to outputs: one attempt is a job of a real operator."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import test_programs_on_pods as on_pods
from tests.cluster.running import SCRIPT, Cluster
from tests.cluster.test_programs_on_pods import DOMAIN, PROJECT, STORE, Harbour, remove_pods
from tests.stack import running_stack

FLEET = Path(__file__).parent / "programs" / "fleet.py"


@pytest.fixture(scope="module")
def fleet(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    built = cluster.environment.get("CLUSTER_OPERATORS", "").split()
    if not cluster.ours or ("training" not in built and os.environ.get("CAUSEWAY_REQUIRE_CLUSTER") != "1"):
        pytest.skip("the training operator is not built: script/cluster build training")
    subprocess.run([SCRIPT, "operators", "on"], check=True, capture_output=True, timeout=400)
    env = {name: cluster.environment[name] for name in STORE}
    env |= {
        "CAUSEWAY_KUBECONFIG": cluster.environment["KUBECONFIG"],
        "CAUSEWAY_CLUSTER_IMAGE": cluster.environment["CLUSTER_TASK_IMAGE"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_pods, "PROGRAM", FLEET)
        with running_stack(tmp_path_factory.mktemp("fleet") / "home", **env) as running:
            say = "from scheduler.executors.kubernetes.factory import owner; print(owner())"
            owner = running.manage("shell", "-v", "0", "-c", say).splitlines()[-1]
            yield Harbour(running, cluster, tmp_path_factory.mktemp("programs"))
        remove_pods(cluster, f"{PROJECT}-{DOMAIN}", owner)
    subprocess.run([SCRIPT, "operators", "off"], check=True, capture_output=True, timeout=400)


def attempts(fleet: Harbour, name: str) -> list[dict[str, Any]]:
    return list(fleet.get(f"executions/{PROJECT}/{DOMAIN}/{name}/nodes/n0/attempts")["results"])


def test_a_training_of_three_gives_one_output_and_shows_each_rank(fleet: Harbour) -> None:
    execution = fleet.launch("training", failures=0)
    name = execution.id.name
    assert fleet.value(execution) == f"{name}: trained by 3"
    (attempt,) = attempts(fleet, name)
    assert attempt["pod"].startswith("pytorchjob/")
    base = f"executions/{PROJECT}/{DOMAIN}/{name}/nodes/n0/attempts/0"
    told = {one["name"]: one["state"] for one in fleet.get(f"{base}/replicas")}
    assert set(told) == {"master-0", "worker-0", "worker-1"}
    assert told["master-0"] == "succeeded"


def test_a_worker_that_fails_costs_one_retry_of_the_task(fleet: Harbour) -> None:
    execution = fleet.launch("training", failures=1)
    name = execution.id.name
    assert fleet.value(execution) == f"{name}: trained by 3"
    second, first = attempts(fleet, name)
    assert "worker-0: the task's process ended with exit code 7" in first["error"]["message"]
    assert (first["phase"], second["phase"]) == ("FAILED", "SUCCEEDED")
