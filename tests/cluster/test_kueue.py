"""A real Kueue beside the cluster: what it says of pods is told in its words, and what it evicts is tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Running, Waiting
from scheduler.attempts.spec import Needs, Pod
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.overview import lines
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import NOTHING_ASKED, QUICK, SYSTEM, USER, Attempts
from tests.cluster.running import GPU, Cluster, Namespace, eventually

ONE_GPU = Needs(requests={"cpu": "10m", GPU: "1"}, limits={GPU: "1"})
KINDS = "kueue.x-k8s.io/v1beta2"


class Queue:
    """A ClusterQueue with one GPU, a lower priority and a higher one, and the LocalQueue `team` of the namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace, self.name = namespace, namespace.name

    def make(self, gpus: int = 1) -> None:
        amounts = {"cpu": "100", "memory": "100Gi", "ephemeral-storage": "100Gi", GPU: str(gpus)}
        resources = [{"name": name, "nominalQuota": amount} for name, amount in amounts.items()]
        group = {"coveredResources": list(amounts), "flavors": [{"name": self.name, "resources": resources}]}
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace.name}}
        queue = {
            "namespaceSelector": selector,
            "resourceGroups": [group],
            "preemption": {"withinClusterQueue": "LowerPriority"},
        }
        self._create("ResourceFlavor", self.name, {})
        self._create("ClusterQueue", self.name, queue)
        self._create("LocalQueue", "team", {"clusterQueue": self.name})
        for name, value in (("low", 1), ("high", 100)):
            self._create("WorkloadPriorityClass", f"{self.name}-{name}", {}, value=value)
        eventually(self._is_active)

    def _create(self, kind: str, name: str, spec: dict[str, Any], **rest: Any) -> None:
        made = {"apiVersion": KINDS, "kind": kind, "metadata": {"name": name}, **rest}
        self.namespace.create({**made, "spec": spec} if "value" not in rest else made)

    def _is_active(self) -> bool:
        conditions = self.namespace.get("clusterqueues", self.name).get("status", {}).get("conditions", [])
        return any(one["type"] == "Active" and one["status"] == "True" for one in conditions)

    def stop(self, policy: str) -> None:
        """`HoldAndDrain` evicts what runs, `Hold` lets it, `None` goes on."""
        patch = json.dumps({"spec": {"stopPolicy": policy}})
        self.namespace.kubectl("patch", "clusterqueue.kueue.x-k8s.io", self.name, "--type=merge", "-p", patch)

    def remove(self) -> None:
        kinds = ("clusterqueues", "resourceflavors")
        for kind in kinds:
            self.namespace.kubectl("delete", f"{kind}.kueue.x-k8s.io", self.name, "--ignore-not-found", "--wait=false")
        for name in ("low", "high"):
            kind = "workloadpriorityclasses.kueue.x-k8s.io"
            self.namespace.kubectl("delete", kind, f"{self.name}-{name}", "--ignore-not-found", "--wait=false")


@pytest.fixture
def queue(kueue: Cluster, namespace: Namespace) -> Iterator[Queue]:
    namespace.cluster.kubectl("label", "namespace", namespace.name, "kueue=on")
    made = Queue(namespace)
    made.make()
    yield made
    made.remove()


@pytest.fixture
def attempts(queue: Queue, gpus: int, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(queue.namespace, tmp_path, queues={"*": "team"})
    yield made
    for pod in made.namespace.pods():
        made.namespace.kubectl("delete", "pod", pod, "--wait=false", "--grace-period=0", "--ignore-not-found")
    made.close()


def of_priority(queue: Queue, name: str) -> Pod:
    return Pod(labels={"kueue.x-k8s.io/priority-class": f"{queue.name}-{name}"})


def last(attempts: Attempts, given: Assignment, code: str) -> Waiting:
    """What it waits for, once that is of the code."""

    def found() -> Waiting | None:
        told = attempts.of(Waiting, given)
        return told[-1] if told and told[-1].code == code else None

    return attempts.until(found)  # type: ignore[no-any-return]


def test_one_that_waits_in_a_queue_says_so_in_kueues_words_and_then_runs(attempts: Attempts) -> None:
    first = attempts.submit("sleep 8", needs=ONE_GPU, with_outputs=True)
    attempts.running(first)
    second = attempts.submit("true", needs=ONE_GPU, with_outputs=True)
    told = last(attempts, second, "QueueFull")
    assert f"insufficient unused quota for {GPU}" in told.message and "1 more needed" in told.message
    assert "in the queue team of Kueue (number 1 of 1 in it)" in told.message
    assert not attempts.of(Running, second)
    for one in (first, second):
        assert attempts.outcome(one).phase == AttemptPhase.SUCCEEDED
        attempts.gone(one)


def test_what_the_queue_can_never_hold_ends_with_the_numbers(attempts: Attempts) -> None:
    attempts.restart(graces=QUICK)
    large = replace(ONE_GPU, requests={"cpu": "10m", GPU: "3"}, limits={GPU: "3"})
    error = attempts.error(attempts.submit("true", needs=large))
    assert (error.code, error.kind) == ("QueueTooSmall", USER)
    assert "current podset request (3) > maximum capacity (1)" in error.message


def test_a_queue_that_is_not_there_is_named(attempts: Attempts) -> None:
    attempts.restart(queues={"*": "absent"}, graces=replace(QUICK, impossible=8))
    given = attempts.submit("true", needs=NOTHING_ASKED)
    assert "LocalQueue absent doesn't exist" in last(attempts, given, "QueueMissing").message
    error = attempts.error(given)
    assert (error.code, error.kind) == ("QueueMissing", SYSTEM)


def test_what_a_stopped_queue_evicts_is_a_system_failure_and_its_next_try_waits(
    attempts: Attempts, queue: Queue
) -> None:
    given = attempts.submit("exec sleep 600", needs=NOTHING_ASKED)
    attempts.running(given)
    queue.stop("HoldAndDrain")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("Evicted", SYSTEM)
    assert "ClusterQueue" in error.message
    assert attempts.outcome(given).retryable
    again = attempts.submit("true", needs=NOTHING_ASKED, with_outputs=True)
    assert f"ClusterQueue {queue.name} is inactive" in last(attempts, again, "QueueStopped").message
    queue.stop("None")
    assert attempts.outcome(again).phase == AttemptPhase.SUCCEEDED


def test_what_one_of_a_higher_priority_displaces_says_so(attempts: Attempts, queue: Queue) -> None:
    low = attempts.submit("exec sleep 600", needs=ONE_GPU, pod=of_priority(queue, "low"))
    attempts.running(low)
    high = attempts.submit("true", needs=ONE_GPU, pod=of_priority(queue, "high"), with_outputs=True)
    error = attempts.error(low)
    assert (error.code, error.kind) == ("Preempted", SYSTEM)
    assert attempts.outcome(high).phase == AttemptPhase.SUCCEEDED


def test_one_that_is_cancelled_in_the_queue_ends_and_leaves_no_pod(attempts: Attempts, queue: Queue) -> None:
    queue.stop("Hold")
    given = attempts.submit("true", needs=NOTHING_ASKED)
    last(attempts, given, "QueueStopped")
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given).phase == AttemptPhase.ABORTED
    attempts.gone(given)


def test_while_kueue_is_away_its_webhook_is_waited_for(attempts: Attempts, own_cluster: Cluster) -> None:
    own_cluster.part("stop", "kueue", "--kill")
    given = attempts.submit("true", needs=NOTHING_ASKED, with_outputs=True)
    assert "failed calling webhook" in last(attempts, given, "WebhookAway").message
    own_cluster.part("start", "kueue")
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED


def test_a_cluster_says_whether_it_has_the_kueue_that_its_settings_name(attempts: Attempts) -> None:
    assert not [line for line in lines(attempts.settings, "s3://b", "") if "Kueue" in line or "workloads" in line]
