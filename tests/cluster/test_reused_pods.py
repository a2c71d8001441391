"""Pods that stay, on a real cluster: tasks of a kind share them, nothing passes from one to the next, none is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flytekit.models.project import Project
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.cluster.running import Cluster, eventually
from tests.cluster.test_programs_on_pods import PROJECT, STORE, remove_pods
from tests.stack import RunningStack, running_stack

PROGRAM = Path(__file__).parent / "programs" / "ferries.py"
DOMAIN, OTHER = "development", "flytetester"
NAMESPACE = "causeway-reuse"
REPLICAS, IDLE = 4, 25
ITEMS = int(os.environ.get("CAUSEWAY_REUSED_ITEMS") or 200)
PATIENCE = 240.0


class Ferries:
    """Its programs, registered in two projects."""

    def __init__(self, stack: RunningStack, cluster: Cluster) -> None:
        self.stack, self.cluster = stack, cluster
        self.version = f"v{time.time():.0f}"
        self.remotes = {project: FlyteRemote(stack.flyte_config(), project, DOMAIN) for project in (PROJECT, OTHER)}
        self.remotes[PROJECT].client.register_project(Project(OTHER, OTHER, "another"))
        for project in self.remotes:
            command = [str(Path(sys.executable).parent / "pyflyte"), "register", "-p", project, "-d", DOMAIN]
            command += ["--version", self.version, "--image", cluster.environment["CLUSTER_TASK_IMAGE"], PROGRAM.name]
            env = {**os.environ, "FLYTECTL_CONFIG": str(stack.flyte_config_file)}
            done = subprocess.run(command, cwd=PROGRAM.parent, env=env, capture_output=True, text=True, timeout=180)
            assert done.returncode == 0, done.stdout + done.stderr

    def launch(self, name: str, project: str = PROJECT, **inputs: Any) -> FlyteWorkflowExecution:
        remote = self.remotes[project]
        workflow = remote.fetch_workflow(name=f"{PROGRAM.stem}.{name}", version=self.version)
        return remote.execute(workflow, inputs=inputs)

    def wait(self, execution: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
        remote, deadline = self.remotes[execution.id.project], time.monotonic() + PATIENCE
        remote.sync_execution(execution)
        while not execution.is_done:
            assert time.monotonic() < deadline, f"{execution.id.name} is still {execution.closure.phase}\n{self.pods()}"
            time.sleep(0.3)
            remote.sync_execution(execution)
        return execution

    def value(self, execution: FlyteWorkflowExecution, output: str = "o0", kind: Any = None) -> Any:
        self.wait(execution)
        assert execution.error is None, execution.error.message
        return execution.outputs.get(output, kind)

    def pods(self, project: str = PROJECT) -> list[str]:
        """Those that stay, of a project."""
        selected = ("--namespace", f"{NAMESPACE}-{project}", "-l", "causeway/pool")
        return [pod["metadata"]["name"] for pod in self.cluster.get("pods", *selected)["items"]]

    def attempts(self, execution: FlyteWorkflowExecution) -> list[tuple[int, str]]:
        """Number and pod of each."""
        rows = f"TaskExecution.objects.filter(node__execution__name={execution.id.name!r})"
        say = f"import json; from scheduler.models import TaskExecution; print(json.dumps(list({rows}"
        say += ".values_list('attempt', 'handle'))))"
        found = json.loads(self.stack.manage("shell", "-v", "0", "-c", say).splitlines()[-1])
        return [(number, pod) for number, pod in found]


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ferries]:
    folder = tmp_path_factory.mktemp("reuse")
    described = {
        "name": "pods",
        "kubeconfig": cluster.environment["KUBECONFIG"],
        "image": cluster.environment["CLUSTER_TASK_IMAGE"],
        "namespace": f"{NAMESPACE}-{{{{ project }}}}",
        "abort_grace_seconds": 2,
        "reuse": {"*": {"replicas": REPLICAS, "idle_seconds": IDLE}},
    }
    (folder / "clusters.yaml").write_text(json.dumps(described))
    env = {name: cluster.environment[name] for name in STORE} | {"CAUSEWAY_CLUSTERS": str(folder / "clusters.yaml")}
    with running_stack(folder / "home", **env) as running:
        say = "from scheduler.executors.kubernetes.factory import owner; print(owner())"
        owner = running.manage("shell", "-v", "0", "-c", say).splitlines()[-1]
        yield Ferries(running, cluster)
    for project in (PROJECT, OTHER):
        remove_pods(cluster, f"{NAMESPACE}-{project}", owner)
        cluster.kubectl("delete", "namespace", f"{NAMESPACE}-{project}", "--wait=false", "--ignore-not-found")


def test_a_map_runs_in_a_few_pods(place: Ferries) -> None:
    execution = place.launch("mapped", ns=list(range(ITEMS)))
    assert place.value(execution, kind=list[int]) == list(range(1, ITEMS + 1))
    attempts = place.attempts(execution)
    assert [number for number, _ in attempts if number >= 0] == [0] * ITEMS
    assert 1 <= len({pod for _, pod in attempts}) <= REPLICAS


def test_a_chain_stays_in_its_pod_and_a_fan_out_shares_those_there_are(place: Ferries) -> None:
    hosts = place.value(place.launch("chain")).split()
    assert len(hosts) == 5 and all(host.startswith("pool-") for host in hosts)
    said = place.value(place.launch("fan_out"), kind=list[str])
    assert [one.split(":")[0] for one in said] == [str(n) for n in range(8)]
    assert len({one.split()[1] for one in said} | set(hosts)) <= REPLICAS


def test_nothing_of_a_task_is_left_for_the_next(place: Ferries) -> None:
    execution = place.launch("left_behind")
    left, looked = place.value(execution, "o0").split(" ", 1), place.value(execution, "o1").split(" ", 1)
    assert left[1] == "Read-only file system"
    assert left[0] == looked[0], "they ran in one pod"
    assert looked[1] == "[] 0 [] [b'', b'']"


def test_failures_in_the_middle_are_tried_again_and_told_in_the_users_words(place: Ferries) -> None:
    mapped, failing = place.launch("with_failures", ns=list(range(20))), place.launch("failing", n=3)
    assert place.value(mapped, kind=list[int]) == list(range(20))
    assert sorted(number for number, _ in place.attempts(mapped)) == [0] * 20 + [1] * 4
    assert "ValueError: no 3" in place.wait(failing).error.message


def test_tasks_of_a_pod_that_is_killed_run_elsewhere(place: Ferries) -> None:
    execution = place.launch("waiting", n=20)
    (lost,) = eventually(lambda: [pod.partition("/")[2] for _, pod in place.attempts(execution) if "/pool-" in pod])
    place.cluster.kubectl("delete", "pod", "--namespace", f"{NAMESPACE}-{PROJECT}", lost, "--force", "--grace-period=0")
    assert place.value(execution) == 20
    assert sorted(number for number, _ in place.attempts(execution)) == [0, 1], "it was tried again, by the system"
    assert lost not in place.pods()


def test_an_executor_that_is_killed_loses_and_doubles_nothing(place: Ferries) -> None:
    execution = place.launch("slowly_mapped", ns=list(range(12)))
    eventually(lambda: [pod for _, pod in place.attempts(execution) if "/pool-" in pod])
    place.stack.kill("executor-pods")
    said = place.value(execution, kind=list[str])
    assert [one.split()[0] for one in said] == [str(n) for n in range(12)]
    assert {number for number, _ in place.attempts(execution)} == {0}


def test_a_task_that_is_aborted_ends_and_its_pod_goes_on(place: Ferries) -> None:
    execution = place.launch("waiting", n=200)
    eventually(lambda: [pod for _, pod in place.attempts(execution) if "/pool-" in pod])
    (_, pod), *_ = place.attempts(execution)
    place.remotes[PROJECT].terminate(execution, "enough")
    again = place.launch("waiting", n=0)
    assert place.value(again) == 0
    assert pod.partition("/")[2] in place.pods()


def test_projects_share_no_pods_and_idle_ones_go(place: Ferries) -> None:
    both = [place.launch("chain", project) for project in (PROJECT, OTHER)]
    first, second = (set(place.value(one).split()) for one in both)
    assert first and second and not first & second
    eventually(lambda: not place.pods() and not place.pods(OTHER), IDLE + 40)
