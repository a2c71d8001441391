"""Causeway itself as pods, driven from outside by unmodified flytekit while its pods are killed and replaced."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import requests
from flytekit.remote import FlyteWorkflowExecution

from tests.cluster import demo
from tests.cluster.deploying import SPACE, WORKLOADS, Deployed, Outside
from tests.cluster.driving import PROGRAMS
from tests.cluster.running import SCRIPT, Cluster, eventually


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    if not cluster.ours:
        pytest.skip("the image of Causeway is made for the cluster of script/cluster only")
    for verb in (["image", "--causeway"], ["load"]):
        done = subprocess.run([SCRIPT, *verb], capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
    made = Deployed(cluster, tmp_path_factory.mktemp("deployed"))
    made.apply()
    try:
        made.ready()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def outside(deployed: Deployed) -> Outside:
    made = Outside(deployed)
    for source in ("ferries.py", "harbour.py", "reactive"):
        made.register(PROGRAMS / source)
    return made


def test_flytekit_drives_it_from_outside(outside: Outside) -> None:
    assert outside.value(outside.launch("ferries.mapped", ns=[1, 2, 3]), list[int]) == [2, 3, 4]
    answer = requests.get(f"{outside.web}/readyz", headers={"Host": "localhost"}, timeout=30)
    assert answer.json()["parts"] == dict.fromkeys(answer.json()["parts"], "ok")


def test_its_pods_are_closed(deployed: Deployed) -> None:
    for pod in deployed.cluster.get("pods", namespace=SPACE)["items"]:
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, container["name"]
    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        deployed.kubectl("run", "open", "--image", "localhost/task:1", "--dry-run=server")


def test_people_come_in_by_the_doors_alone(deployed: Deployed) -> None:
    kinds = "networkpolicies,poddisruptionbudgets,ingresses"
    there = {
        name.partition(".")[0] + "/" + name.partition("/")[2]
        for name in deployed.kubectl("get", kinds, "-o", "name").split()
    }
    assert there >= {f"networkpolicy/{name}" for name in ("closed", "doors", "postgres", "valkey")}
    assert there >= {f"poddisruptionbudget/{name}" for name in ("web", "rpc", "worker", "executor")}
    (ingress,) = [name for name in there if name.startswith("ingress/")]
    described = json.loads(deployed.kubectl("get", ingress, "-o", "json"))
    (rule,) = described["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    port = deployed.cluster.get("services", backend["name"], namespace=SPACE)["spec"]["ports"][0]["port"]
    assert (backend["name"], backend["port"]["number"]) == ("web", port)


@pytest.mark.parametrize("account", ["executor", "web", "causeway"])
@pytest.mark.parametrize(
    "may",
    [
        "delete deployments",
        "get secrets",
        "create clusterrolebindings",
        "create pods --subresource=exec",
        "delete nodes",
        "* *",
    ],
)
def test_none_of_its_accounts_is_an_admin(deployed: Deployed, account: str, may: str) -> None:
    asked = ("auth", "can-i", *may.split(), "--all-namespaces", "--as", f"system:serviceaccount:{SPACE}:{account}")
    environment = {**os.environ, **deployed.cluster.environment}
    command = [deployed.cluster.environment["CLUSTER_KUBECTL"], *asked]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "no"


def test_a_drain_leaves_one_of_each_pair(deployed: Deployed) -> None:
    for name in ("web", "rpc", "worker", "executor"):
        first, second = [pod["metadata"]["name"] for pod in deployed.pods(name)]
        evict(deployed, first)
        with pytest.raises(AssertionError, match="disruption budget"):
            evict(deployed, second)
    deployed.ready()


def evict(deployed: Deployed, pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": SPACE}}
    deployed.kubectl(
        "create", "--raw", f"/api/v1/namespaces/{SPACE}/pods/{pod}/eviction", "-f", "-", stdin=json.dumps(body)
    )


def test_the_demo_ends_though_its_parts_are_killed_one_by_one(deployed: Deployed, outside: Outside) -> None:
    killed = itertools.chain(("web", "worker", "executor", "postgres", "rpc"), itertools.repeat(""))

    def kill_the_next() -> None:
        if name := next(killed):
            deployed.kill(name)

    def publish() -> int:
        execution = outside.launch("reactive.plans.publish", harbour="Ostend")
        kill_the_next()
        return int(outside.value(execution, int))

    demo.play(outside.client, publish, between=kill_the_next)
    deployed.ready()
    assert {name: len(list(outside.client.versions(name))) for name in demo.MADE} == dict.fromkeys(demo.MADE, 1)
    ours = "Execution.objects.filter(launch_plan__name__startswith='reactive.plans.')"
    launched = deployed.ask(f"list({ours}.values_list('launch_plan__name', flat=True))")
    assert len(launched) == len(set(launched)), "each began once"


def test_pods_that_are_killed_lose_and_double_nothing(deployed: Deployed, outside: Outside) -> None:
    deployed.ready()
    execution = outside.launch("ferries.slowly_mapped", ns=list(range(20)))
    eventually(lambda: outside.attempts(execution), 60)
    for name in ("worker", "executor", "web", "rpc", "postgres", "valkey", "slow", "beat"):
        deployed.kill(name)
        time.sleep(3)
    said = outside.value(execution, list[str], 300)
    assert [one.split()[0] for one in said] == [str(n) for n in range(20)]
    deployed.ready()
    assert outside.attempts(execution) == [0] * 20


@dataclass
class Load:
    """What people do meanwhile: pages, and launches of tasks in pods that stay and in pods of their own."""

    outside: Outside
    refused: list[str] = field(default_factory=list)
    launched: list[tuple[FlyteWorkflowExecution, object, int]] = field(default_factory=list)
    """Each with what is to come of it, and how many attempts it takes."""
    done: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        url, headers = f"{self.outside.web}/healthz", {"Host": "localhost", "Connection": "close"}
        while not self.done.wait(0.2):
            try:
                requests.get(url, headers=headers, timeout=30).raise_for_status()
            except requests.Timeout:  # of a machine that is busy
                continue
            except requests.RequestException as error:
                self.refused.append(f"web: {error}")

    def launch(self) -> None:
        for number in itertools.count():
            if self.done.wait(5):
                return
            try:
                if number % 5 == 1:  # a pod of its own costs a small node seconds
                    self.launched.append((self.outside.launch("harbour.patient", n=number), number + 1, 2))
                else:
                    self.launched.append((self.outside.launch("ferries.mapped", ns=[1, 2, 3]), [2, 3, 4], 3))
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody was turned away
                self.refused.append(f"rpc: {error}")

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=work, daemon=True) for work in (self.ask, self.launch)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.done.set()
            for thread in threads:
                thread.join(60)


def test_a_rolling_upgrade_and_a_rollback_pass_under_load(deployed: Deployed, outside: Outside) -> None:
    deployed.ready()
    deployed.release("2")
    before = deployed.ask("Execution.objects.count()")
    load = Load(outside)
    with load.going_on():
        deployed.apply(tag="2")
        deployed.ready()
        assert all(deployed.images(name) == {"2"} for name in WORKLOADS)
        deployed.roll_back()
        deployed.ready()
        assert all(deployed.images(name) == {"1"} for name in WORKLOADS)
    assert len(load.launched) > 3
    for execution, wanted, _ in load.launched:
        assert outside.value(execution, list[int] if isinstance(wanted, list) else int) == wanted
    tried = outside.attempts(*(execution for execution, _, _ in load.launched))
    assert tried == [0] * sum(attempts for _, _, attempts in load.launched)
    assert deployed.ask("Execution.objects.count()") == before + len(load.launched)
    assert not load.refused, "somebody was turned away"
