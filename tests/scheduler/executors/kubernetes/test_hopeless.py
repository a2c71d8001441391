"""A pod that no node could ever hold ends soon, with the numbers; others of which the scheduler says the same wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.attempts.outcomes import USER
from scheduler.attempts.spec import Needs
from scheduler.executors.kubernetes import sizes
from scheduler.executors.kubernetes.cluster import Graces
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.pods import condition

Json = dict[str, Any]
GPU = "nvidia.com/gpu"
SAID = (
    f"0/1 nodes are available: 1 Insufficient {GPU}. no new claims to deallocate, preemption: 0/1 nodes are "
    "available: 1 Preemption is not helpful for scheduling."
)


def node(cpu: str = "4", memory: str = "16Gi", gpus: int = 4, *, away: bool = False) -> Json:
    capacity = {"cpu": cpu, "memory": memory, GPU: str(gpus)}
    return {"status": {"capacity": capacity, "allocatable": {**capacity, **({GPU: "0"} if away else {})}}}


def pod(*containers: Json, init: tuple[Json, ...] = ()) -> Json:
    def made(given: Json) -> Json:
        name, also = given.pop("name", "main"), given.pop("along", False)
        found = {"name": name, "resources": {"requests": given}}
        return {**found, **({"restartPolicy": "Always"} if also else {})}

    return {"spec": {"containers": [made(one) for one in containers], "initContainers": [made(one) for one in init]}}


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (pod({"cpu": "1", "memory": "1Gi"}, {"cpu": "500m"}), {"cpu": 1.5, "memory": 2.0**30}),
        (pod({"cpu": "1"}, init=({"cpu": "3"}, {GPU: "2"})), {"cpu": 3.0, GPU: 2.0}),
        (pod({"cpu": "1"}, init=({"cpu": "1", "name": "side", "along": True},)), {"cpu": 2.0}),
    ],
)
def test_a_pod_asks_for_what_the_scheduler_counts(given: Json, asked: dict[str, float]) -> None:
    assert sizes.requested(given) == asked


def test_what_only_a_limit_says_is_asked_for() -> None:
    limited = {"spec": {"containers": [{"name": "main", "resources": {"limits": {GPU: "5"}}}]}}
    assert sizes.too_large(limited, [node()]) == f"it asks for 5 {GPU}, and no node has more than 4"


@pytest.mark.parametrize(
    ("given", "nodes", "words"),
    [
        (pod({GPU: "4"}), [node()], ""),
        (pod({GPU: "5"}), [node(), node(gpus=8)], ""),
        (pod({GPU: "3"}), [node(away=True)], ""),  # its plug-in is away for a moment
        (pod({GPU: "5"}), [], ""),
        (pod({GPU: "5"}), [node(away=True)], f"it asks for 5 {GPU}, and no node has more than 4"),
        (pod({"memory": "20Gi"}), [node()], "it asks for 20Gi memory, and no node has more than 16Gi"),
        (pod({GPU: "8", "cpu": "16"}), [node(gpus=8), node(cpu="16")], f"it asks for 16 cpu, 8 {GPU}: no node has all"),
    ],
)
def test_only_what_no_node_has_in_all_is_too_large(given: Json, nodes: list[Json], words: str) -> None:
    assert sizes.too_large(given, nodes) == words


@pytest.fixture
def soon(bench: Bench) -> Bench:
    bench.settings = replace(bench.settings, graces=Graces(hopeless=0.2))
    bench.restart()
    return bench


def unschedulable(bench: Bench, fake: FakeCluster, gpus: int) -> str:
    """The name of the one pod, of which the scheduler says that nothing helps."""
    needs = Needs(requests={GPU: str(gpus)}, limits={GPU: str(gpus)})
    bench.executor.submit(bench.assignment(1, needs=needs))
    fake.wait_for_pod()
    name = fake.only()
    with fake._changed:  # noqa: SLF001 - as the scheduler does
        pending = fake.named(name)
        pending["status"]["conditions"] = [condition("PodScheduled", "False", "Unschedulable", SAID)]
        fake._commit("MODIFIED", pending)  # noqa: SLF001
    return name


def test_it_ends_soon_with_the_numbers(soon: Bench, fake: FakeCluster) -> None:
    fake.nodes = [node()]
    unschedulable(soon, fake, 5)
    error = soon.error()
    assert (error.code, error.kind) == ("NoNodeLargeEnough", USER)
    assert f"it asks for 5 {GPU}, and no node has more than 4" in error.message
    assert not soon.outcome().retryable


@pytest.mark.parametrize(
    ("gpus", "reason", "nodes"),
    [
        (4, "", [node(away=True)]),  # the plug-in of the GPUs starts anew
        (5, "TriggeredScaleUp", [node()]),
        (5, "Nominated", [node()]),
        (5, "", []),
    ],
)
def test_what_may_yet_run_waits(soon: Bench, fake: FakeCluster, gpus: int, reason: str, nodes: list[Json]) -> None:
    fake.nodes = nodes
    fake.events = [{"reason": reason, "message": "pod triggered scale-up"}] if reason else []
    unschedulable(soon, fake, gpus)
    asked = ("GET /api/v1/nodes", "GET /api/v1/namespaces/p-d/events") if reason else ("GET /api/v1/nodes",)
    soon.until(lambda: set(asked) <= set(fake.calls))
    for _ in range(20):
        soon.executor.tick()
        assert not soon.ends()
