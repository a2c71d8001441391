"""RayJobs of a real KubeRay with a real Ray, which is 360 MB: only where somebody has it, and says where.

pip install --target /tmp/ray 'ray[default]==2.60.0'      # with Python 3.11, as the image of tasks has
CLUSTER_RAY=/tmp/ray script/test tests/cluster/test_jobs_of_ray.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Replica, Replicas
from scheduler.attempts.spec import Job, Needs, Pod
from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import USER, Attempts
from tests.cluster.packages import with_operator
from tests.cluster.running import Cluster, Namespace

CUSTOM = {
    "rayCluster": {"workerGroupSpec": [{"groupName": "g", "replicas": 1.0, "minReplicas": 1.0, "maxReplicas": 1.0}]}
}
NEEDS = Needs(requests={"cpu": "50m", "memory": "256Mi"}, limits={"memory": "2Gi"})


@pytest.fixture(scope="module")
def packages(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The folder with Ray, and one with a program `ray`."""
    with with_operator(cluster, "ray", "ray") as found:
        programs = tmp_path_factory.mktemp("ray")
        (programs / "ray").write_text('#!/bin/sh\nexec python3 -m ray.scripts.scripts "$@"\n')
        (programs / "ray").chmod(0o755)
        yield found, str(programs)


@pytest.fixture
def attempts(packages: tuple[str, str], namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(namespace, tmp_path)
    yield made
    namespace.kubectl("delete", "rayjobs", "--all", "--wait=false")
    made.close()


def submit(attempts: Attempts, packages: tuple[str, str], script: str, **over: Any) -> Assignment:
    mounts = [{"name": f"v{number}", "mountPath": path} for number, path in enumerate(("/opt/packages", "/opt/ray"))]
    volumes = [{"name": f"v{number}", "hostPath": {"path": path}} for number, path in enumerate(packages)]
    pod = Pod(spec={"containers": [{"name": "primary", "volumeMounts": mounts}], "volumes": volumes}, primary="primary")
    env = {"PYTHONPATH": "/opt/packages", "PATH": "/opt/ray:/usr/local/bin:/usr/bin:/bin"}
    given: dict[str, Any] = {"pod": pod, "env": env, "needs": NEEDS, "job": Job(CUSTOM), "task_type": "ray"}
    return attempts.submit(script, **{**given, **over})


def told(attempts: Attempts, given: Assignment) -> dict[str, Replica]:
    return {one.name: one for one in attempts.of(Replicas, given)[-1].replicas}


def nothing_left(attempts: Attempts) -> None:
    attempts.until(lambda: not attempts.namespace.get("rayjobs,rayclusters,jobs,pods")["items"])


def test_a_program_runs_on_a_cluster_of_its_own_and_prints_into_the_attempts_log(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    script = """python3 -c 'import ray; ray.init(); print("nodes", len(ray.nodes()))'"""
    given = submit(attempts, packages, script, with_outputs=True)
    assert attempts.outcome(given, 240).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts)
    roles = {one.role for one in told(attempts, given).values()}
    assert roles == {"head", "g", "submitter"}
    assert "nodes 2" in attempts.store.get(given.log_uri).decode()


def test_a_program_that_fails_says_so_though_its_submitter_ends_well(
    attempts: Attempts, packages: tuple[str, str]
) -> None:
    error = attempts.error(submit(attempts, packages, "echo no good; exit 3"), 240)
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert "exit code 3" in error.message
    nothing_left(attempts)


def test_a_cancelled_one_leaves_nothing(attempts: Attempts, packages: tuple[str, str]) -> None:
    given = submit(attempts, packages, "sleep 600")
    attempts.until(lambda: attempts.namespace.get("pods")["items"])
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given, 240).phase == AttemptPhase.ABORTED
    nothing_left(attempts)
