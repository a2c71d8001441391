"""Jobs of real operators in a queue of a real Kueue: they wait as a whole, and an eviction is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Waiting
from scheduler.attempts.spec import Job, Needs
from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import SYSTEM, Attempts
from tests.cluster.running import GPU, Cluster, Namespace
from tests.cluster.test_kueue import Queue

ONE_AND_ONE = {"masterReplicas": {"replicas": 1.0}, "workerReplicas": {"replicas": 1.0}}
ONE_GPU = Needs(requests={"cpu": "10m", "memory": "16Mi", GPU: "1"}, limits={GPU: "1"})


@pytest.fixture
def queue(kueue: Cluster, namespace: Namespace) -> Iterator[Queue]:
    namespace.cluster.kubectl("label", "namespace", namespace.name, "kueue=on")
    made = Queue(namespace)
    made.make(gpus=2)
    yield made
    made.remove()


@pytest.fixture
def attempts(queue: Queue, gpus: int, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(queue.namespace, tmp_path, queues={"*": "team"})
    yield made
    made.namespace.kubectl("delete", "pytorchjobs", "--all", "--wait=false")
    made.close()


def submit(attempts: Attempts, script: str, **over: Any) -> Assignment:
    return attempts.submit(script, task_type="pytorch", job=Job(ONE_AND_ONE), needs=ONE_GPU, **over)


def test_a_job_waits_for_all_of_its_replicas_at_once(attempts: Attempts) -> None:
    first = submit(attempts, "sleep 8", with_outputs=True)
    attempts.running(first)
    second = submit(attempts, "true", with_outputs=True)
    told = attempts.waiting(second, "QueueFull")
    assert f"insufficient unused quota for {GPU}" in told.message
    assert attempts.outcome(first).phase == AttemptPhase.SUCCEEDED
    assert attempts.outcome(second).phase == AttemptPhase.SUCCEEDED


def test_a_job_that_is_evicted_is_a_system_failure_and_its_next_try_waits(attempts: Attempts, queue: Queue) -> None:
    given = submit(attempts, "exec sleep 600")
    attempts.running(given)
    queue.stop("HoldAndDrain")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("Evicted", SYSTEM)
    assert attempts.outcome(given).retryable
    again = submit(attempts, "true", with_outputs=True)
    stopped = attempts.until(lambda: [one for one in attempts.of(Waiting, again) if one.code == "QueueStopped"])
    assert f"ClusterQueue {queue.name} is inactive" in stopped[-1].message
    queue.stop("None")
    assert attempts.outcome(again).phase == AttemptPhase.SUCCEEDED
