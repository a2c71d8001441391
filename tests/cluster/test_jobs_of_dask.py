"""DaskJobs of the real dask-kubernetes with a real Dask: only where somebody has it, and says where.

pip install --target /tmp/dask 'dask[distributed]==2026.8.0' flytekitplugins-dask  # with Python 3.11, as the image's
CLUSTER_DASK=/tmp/dask script/test tests/cluster/test_jobs_of_dask.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Replica, Replicas
from scheduler.attempts.spec import Identity, Job, Needs, Pod
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import SYSTEM, USER, Attempts
from tests.cluster.packages import with_operator
from tests.cluster.running import Cluster, Namespace

CUSTOM = {"scheduler": {"resources": {}}, "workers": {"numberOfWorkers": 2.0, "resources": {}}}
NEEDS = Needs(requests={"cpu": "20m", "memory": "200Mi"}, limits={"memory": "1Gi"})
KINDS = "daskjobs,daskclusters,daskworkergroups,deployments,pods,services"
SLEEPS = "import time\ntime.sleep(600)\n"
CLIENT = "from distributed import Client\nclient = Client()\n"


@pytest.fixture(scope="module")
def packages(cluster: Cluster) -> Iterator[str]:
    """The folder with Dask."""
    with with_operator(cluster, "dask", "distributed") as found:
        yield found


@pytest.fixture
def attempts(packages: str, namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(namespace, tmp_path)
    yield made
    namespace.kubectl("delete", "daskjobs", "--all", "--wait=false")
    made.close()


def submit(attempts: Attempts, packages: str, code: str, **over: Any) -> Assignment:
    mounts = [{"name": "packages", "mountPath": "/opt/packages"}]
    volumes = [{"name": "packages", "hostPath": {"path": packages}}]
    pod = Pod(spec={"containers": [{"name": "primary", "volumeMounts": mounts}], "volumes": volumes}, primary="primary")
    env = {"PYTHONPATH": "/opt/packages"}
    given: dict[str, Any] = {"pod": pod, "env": env, "needs": NEEDS, "job": Job(CUSTOM), "task_type": "dask"}
    return attempts.submit("", **{**given, "argv": ("python", "-c", code), "entry": 1, **over})


def told(attempts: Attempts, given: Assignment) -> dict[str, Replica]:
    return {one.name: one for one in attempts.of(Replicas, given)[-1].replicas}


def nothing_left(attempts: Attempts) -> None:
    attempts.until(lambda: not attempts.namespace.get(KINDS)["items"])


def test_a_program_computes_on_workers_and_prints_into_the_attempts_log(attempts: Attempts, packages: str) -> None:
    code = CLIENT + "client.wait_for_workers(2, timeout=120)\nprint('sum', client.submit(sum, range(100)).result())\n"
    given = submit(attempts, packages, code, with_outputs=True)
    assert attempts.outcome(given, 240).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts)
    found = told(attempts, given)
    assert sorted(one.role for one in found.values()) == ["runner", "scheduler", "worker", "worker"]
    assert "sum 4950" in attempts.store.get(given.log_uri).decode()
    assert attempts.store.get(found["runner-0"].log_uri) == attempts.store.get(given.log_uri)
    for one in found.values():
        assert one.role != "worker" or "Start worker" in attempts.store.get(one.log_uri).decode()


def test_a_program_that_fails_ends_with_its_runners_code_and_last_lines(attempts: Attempts, packages: str) -> None:
    error = attempts.error(submit(attempts, packages, "import sys\nprint('no good')\nsys.exit(3)\n"))
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert error.message.startswith("runner-0: the task's process ended with exit code 3")
    assert "no good" in error.message
    nothing_left(attempts)


def test_a_cancelled_one_leaves_nothing(attempts: Attempts, packages: str) -> None:
    given = submit(attempts, packages, SLEEPS)
    attempts.running(given)
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given).phase == AttemptPhase.ABORTED
    nothing_left(attempts)


def test_a_worker_that_dies_is_made_up_for(attempts: Attempts, packages: str) -> None:
    """Dask gives its part to another, and the Deployment starts it again: the program's own end is what counts."""
    code = CLIENT + (
        "import os, sys\n"
        "client.wait_for_workers(2, timeout=120)\n"
        "dead = next(iter(client.scheduler_info()['workers']))\n"
        "print('died', client.submit(os._exit, 9, workers=[dead], allow_other_workers=False, retries=0, pure=False))\n"
        "while len(client.scheduler_info()['workers']) == 2 and dead in client.scheduler_info()['workers']:\n"
        "    time.sleep(0.2)\n"
        "print('sum', client.submit(sum, range(100)).result())\n"
        "sys.stdout.flush()\n"
        "os._exit(5)\n"
    )
    given = submit(attempts, packages, "import time\n" + code)
    error = attempts.error(given)
    assert error.message.startswith("runner-0: the task's process ended with exit code 5"), "and not what it survived"
    assert "sum 4950" in error.message
    nothing_left(attempts)


def test_an_image_that_cannot_be_pulled_is_told_of_the_replica_that_asks_for_it(
    attempts: Attempts, packages: str
) -> None:
    attempts.restart(graces=Graces(image=6))
    given = submit(attempts, packages, SLEEPS, image="localhost:1/absent:1")
    assert "-0: the image 'localhost:1/absent:1'" in attempts.waiting(given, "ImagePull").message
    assert attempts.error(given).code == "ImagePull"
    nothing_left(attempts)


def test_workers_whose_image_cannot_be_pulled_end_what_would_wait_for_them(attempts: Attempts, packages: str) -> None:
    attempts.restart(graces=Graces(image=6))
    custom = {**CUSTOM, "workers": {"numberOfWorkers": 2.0, "image": "localhost:1/absent:1"}}
    error = attempts.error(submit(attempts, packages, SLEEPS, job=Job(custom)))
    assert (error.code, error.kind) == ("ImagePull", USER)
    assert error.message.startswith("worker-")
    nothing_left(attempts)


def test_a_scheduler_that_does_not_come_is_what_is_told_and_not_its_client(attempts: Attempts, packages: str) -> None:
    attempts.restart(graces=Graces(image=40))
    given = submit(attempts, packages, CLIENT, job=Job({**CUSTOM, "scheduler": {"image": "localhost:1/absent:1"}}))
    error = attempts.error(given)
    assert (error.code, error.kind) == ("ImagePull", USER)
    assert error.message.startswith("scheduler-0: the image 'localhost:1/absent:1'")
    nothing_left(attempts)


def test_an_image_without_dask_is_not_started_for_ever(attempts: Attempts, packages: str) -> None:
    error = attempts.error(submit(attempts, packages, SLEEPS, env={}), 240)
    assert (error.code, error.kind) == ("CrashLoopBackOff", USER)
    assert error.message.startswith("scheduler-0: its program ends again and again")
    assert "No module named" in error.message
    nothing_left(attempts)


def test_a_job_that_somebody_deletes_is_a_system_failure(attempts: Attempts, packages: str) -> None:
    given = submit(attempts, packages, SLEEPS)
    attempts.running(given)
    attempts.namespace.kubectl("delete", "daskjobs", "--all", "--wait=false")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    nothing_left(attempts)


def test_a_runner_that_somebody_deletes_is_a_system_failure(attempts: Attempts, packages: str) -> None:
    given = submit(attempts, packages, SLEEPS)
    attempts.running(given)
    attempts.namespace.kubectl("delete", "pods", "-l", "dask.org/component=job-runner", "--wait=false")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    nothing_left(attempts)


def test_an_operator_that_goes_away_does_not_keep_a_program_from_ending(
    attempts: Attempts, packages: str, own_cluster: Cluster
) -> None:
    given = submit(attempts, packages, "import time\ntime.sleep(8)\n", with_outputs=True)
    attempts.running(given)
    own_cluster.part("stop", "dask", "--kill")
    try:
        assert attempts.outcome(given, 90).phase == AttemptPhase.SUCCEEDED
        attempts.until(lambda: not attempts.namespace.get("deployments,pods,services")["items"])
    finally:
        own_cluster.part("start", "dask")
    nothing_left(attempts)


def test_a_silent_operator_is_named_and_its_job_ends(attempts: Attempts, packages: str, own_cluster: Cluster) -> None:
    own_cluster.part("stop", "dask", "--kill")
    try:
        attempts.restart(graces=Graces(operator=3))
        given = submit(attempts, packages, "pass")
        assert "the Dask operator has said nothing" in attempts.waiting(given, "OperatorSilent").message
        error = attempts.error(given)
        assert (error.code, error.kind) == ("OperatorSilent", SYSTEM)
        nothing_left(attempts)
    finally:
        own_cluster.part("start", "dask")


def test_the_longest_names_are_none_too_long_for_what_the_operator_adds(attempts: Attempts, packages: str) -> None:
    identity = Identity("f" * 80, project="p", domain="d", execution="f" * 60, node="n0-0-n1", task="t")
    given = submit(attempts, packages, CLIENT + "client.wait_for_workers(2, timeout=60)\n", identity=identity)
    assert attempts.error(given).code == "OutputsNotFound", "it ran to its end"
    assert len(told(attempts, given)) == 4, "though the names of both workers' pods are cut off"
    nothing_left(attempts)
