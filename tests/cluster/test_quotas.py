"""Quotas of ours on a real cluster with GPUs: never over, fair, and said; also beside a quota of the cluster's own."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flytekit.remote import FlyteWorkflowExecution

from scheduler.executors.kubernetes.cluster import Accelerators
from tests.cluster.driving import PATIENCE, PROGRAMS, Programs
from tests.cluster.running import GPU, Cluster, eventually
from tests.stack import RunningStack

FIRST, SECOND = "sharing-one", "sharing-two"
LABEL = Accelerators.device_label  # by which the node says which GPU it has


class Place:
    """Two projects with the same program."""

    def __init__(self, stack: RunningStack, cluster: Cluster) -> None:
        self.stack, self.cluster = stack, cluster
        self.of = {name: Programs(stack, cluster, PROGRAMS / "sharing.py", name) for name in (FIRST, SECOND)}
        self.client = self.of[FIRST].client

    def launch(self, project: str, name: str, **inputs: Any) -> FlyteWorkflowExecution:
        return self.of[project].launch(name, **inputs)

    def state(self, execution: FlyteWorkflowExecution) -> dict[str, Any]:
        return dict(self.of[execution.id.project].get(execution))

    def held(self) -> Counter[str]:
        """GPUs of containers that are to run or do, by project: what the cluster says. A pod's phase tells of its end
        up to a second later, when the next one may be there.
        """
        found: Counter[str] = Counter()
        for project, programs in self.of.items():
            for pod in programs.pods("causeway/execution"):
                over = pod["status"]["phase"] in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]
                told = pod["status"].get("containerStatuses", ())
                ended = {one["name"] for one in told if "terminated" in one["state"]}
                left = [one for one in pod["spec"]["containers"] if one["name"] not in ended]
                asked = sum(int(one["resources"].get("limits", {}).get(GPU, 0)) for one in left)
                found[project] += 0 if over else asked
        return found

    def in_use(self, number: int) -> float:
        return float(self.client.quotas.get(number)["used"])

    def through(self, executions: list[FlyteWorkflowExecution], look: Callable[[Counter[str]], None]) -> None:
        """Until they have ended, well; `look` is called with what is held, again and again."""
        deadline = time.monotonic() + PATIENCE
        left = list(executions)
        while left:
            assert time.monotonic() < deadline, [self.state(one) for one in left]
            look(self.held())
            left = [one for one in left if not self.state(one)["ended_at"]]
        for one in executions:
            assert self.state(one)["phase"] == "SUCCEEDED", self.state(one)


@pytest.fixture(scope="module")
def place(pods_stack: RunningStack, cluster: Cluster) -> Iterator[Place]:
    if cluster.gpus == 0:
        pytest.skip("this cluster has no GPUs")
    node = cluster.get("nodes", selector="fake!=node")["items"][0]["metadata"]["name"]
    cluster.kubectl("label", "node", node, f"{LABEL}=nvidia-tesla-t4", "--overwrite")
    yield Place(pods_stack, cluster)
    cluster.kubectl("label", "node", node, f"{LABEL}-")


@pytest.fixture
def quota(place: Place) -> Iterator[Callable[..., int]]:
    made: list[int] = []

    def setting(resource: str, limit: int, **scope: Any) -> int:
        made.append(int(place.client.quotas.set(resource, limit, **scope)["id"]))
        return made[-1]

    yield setting
    for number in made:
        place.client.quotas.remove(number)


def test_two_projects_share_gpus_in_turns_and_never_more_than_there_are_for_them(
    place: Place, quota: Callable[..., int], gpus: int
) -> None:
    number = quota(GPU, 2)
    given = [place.launch(project, "many", seconds=[4] * 4) for project in (FIRST, SECOND)]
    most, both = 0, 0

    def look(held: Counter[str]) -> None:
        nonlocal most, both
        most, both = max(most, sum(held.values())), both + (min(held[FIRST], held[SECOND]) > 0)

    place.through(given, look)
    assert most == 2, "used as far as it goes, and no further"
    assert both, "one of each at a time"
    eventually(lambda: place.in_use(number) == 0)


def test_an_executor_that_is_killed_again_and_again_never_exceeds_the_limit(
    place: Place, quota: Callable[..., int], gpus: int
) -> None:
    number = quota(GPU, 2)
    given = [place.launch(FIRST, "many", seconds=[3] * 8)]
    killed_at, kills, over = time.monotonic(), 0, []

    def look(held: Counter[str]) -> None:
        nonlocal killed_at, kills
        if sum(held.values()) > 2:
            over.append(held)
        if sum(held.values()) and time.monotonic() - killed_at > 4 and kills < 3:
            kills += place.stack.kill("executor-pods") is not None
            killed_at = time.monotonic()

    place.through(given, look)
    assert (kills, over) == (3, [])
    eventually(lambda: place.in_use(number) == 0)


def test_a_quota_of_a_model_holds_for_that_model(place: Place, quota: Callable[..., int], gpus: int) -> None:
    quota("gpu:nvidia-tesla-t4", 1, project=FIRST)
    other = place.launch(FIRST, "many", seconds=[8])
    given = place.launch(FIRST, "of_a_model", seconds=5)
    counts: list[int] = []
    place.through([given, other], lambda held: counts.append(held[FIRST]))
    assert max(counts) == 2, "one of the model, and one that asks for none"


def test_a_quota_of_the_namespace_below_ours_is_waited_for_and_named(
    place: Place, quota: Callable[..., int], gpus: int
) -> None:
    quota(GPU, 3, project=SECOND)
    namespace = place.of[SECOND].namespace
    spec = {"hard": {f"requests.{GPU}": "1"}}
    low = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "low"}, "spec": spec}
    _in_namespace(place.cluster, namespace, low)
    counts: list[int] = []
    whys: list[str] = []
    given = place.launch(SECOND, "many", seconds=[4] * 3)

    def look(held: Counter[str]) -> None:
        counts.append(held[SECOND])
        if any(node["node_id"] == "n0" for node in place.of[SECOND].get(given, "nodes")["results"]):
            attempts = place.of[SECOND].get(given, "nodes/n0")["newest_attempts"]
            whys.extend(one["why"]["message"] for one in attempts if one["why"])

    try:
        place.through([given], look)
    finally:
        place.cluster.kubectl("delete", "resourcequota", "low", "--namespace", namespace)
    assert max(counts) == 1
    assert any(f"quota of namespace {namespace}: exceeded quota: low" in why for why in whys), set(whys)


def _in_namespace(cluster: Cluster, namespace: str, made: dict[str, Any]) -> None:
    """Made there, once the cluster counts by it."""
    if not cluster.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name"):
        cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("create", "--namespace", namespace, "-f", "-", stdin=json.dumps(made))
    eventually(lambda: cluster.get("resourcequotas", "low", namespace=namespace).get("status", {}).get("hard"))


def test_a_pod_that_is_lost_gives_back_once(place: Place, quota: Callable[..., int], gpus: int) -> None:
    number = quota(GPU, 1, project=FIRST)
    given = [place.launch(FIRST, "many", seconds=[6]) for _ in range(2)]
    namespace, lost = place.of[FIRST].namespace, list[str]()
    over: list[Counter[str]] = []

    def look(held: Counter[str]) -> None:
        if held[FIRST] > 1:
            over.append(held)
        if held[FIRST] and not lost:
            pods = place.cluster.kubectl("get", "pods", "--namespace", namespace, "-o", "name").split()
            lost.extend(pods[:1])
            place.cluster.kubectl("patch", "--namespace", namespace, *lost, "-p", '{"metadata": {"finalizers": null}}')
            place.cluster.kubectl("delete", "--namespace", namespace, *lost, "--force", "--grace-period=0")

    place.through(given, look)
    assert (len(lost), over) == (1, [])
    eventually(lambda: place.in_use(number) == 0)


def test_what_no_node_can_ever_hold_ends_at_once_with_the_numbers(place: Place, gpus: int) -> None:
    began = time.monotonic()
    given = place.launch(FIRST, "never")
    eventually(lambda: place.state(given)["ended_at"], PATIENCE)
    assert time.monotonic() - began < 60
    error = place.state(given)["error"]
    assert f"it asks for 64 {GPU}, and no node has more than {gpus}" in json.dumps(error)
