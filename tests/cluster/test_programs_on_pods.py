"""Unmodified flytekit programs, from registration to outputs, with Causeway as `script/up --kubeconfig` starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from causeway.client import CausewayError, Client, Version
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.cluster.running import Cluster, eventually
from tests.stack import RunningStack, running_stack

PROGRAM = Path(__file__).parent / "programs" / "harbour.py"
TEAMS = Path(__file__).parent / "programs" / "reactive"
PROJECT, DOMAIN = "flytesnacks", "development"
PATIENCE = 240.0
STORE = ("CAUSEWAY_STORE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture(scope="module")
def pods_stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    env = {name: cluster.environment[name] for name in STORE}
    env |= {
        "CAUSEWAY_KUBECONFIG": cluster.environment["KUBECONFIG"],
        "CAUSEWAY_CLUSTER_IMAGE": cluster.environment["CLUSTER_TASK_IMAGE"],
    }
    with running_stack(tmp_path_factory.mktemp("pods") / "home", **env) as running:
        say = "from scheduler.executors.kubernetes.factory import owner; print(owner())"
        owner = running.manage("shell", "-v", "0", "-c", say).splitlines()[-1]
        yield running
    remove_pods(cluster, f"{PROJECT}-{DOMAIN}", owner)


def remove_pods(cluster: Cluster, namespace: str, owner: str) -> None:
    """Those that a test which failed left to nobody: their finalizers would keep them, and their GPUs, for ever."""
    selected = ("--namespace", namespace, "-l", f"causeway/owner={owner}")
    for pod in cluster.kubectl("get", "pods", *selected, "-o", "name").split():
        cluster.kubectl("patch", "--namespace", namespace, pod, "-p", '{"metadata": {"finalizers": null}}')
    cluster.kubectl("delete", "pods", *selected, "--wait=false", "--ignore-not-found")


class Harbour:
    """Its programs, registered once with `pyflyte`, as users do."""

    def __init__(self, stack: RunningStack, cluster: Cluster, folder: Path) -> None:
        self.stack, self.cluster = stack, cluster
        self.remote = FlyteRemote(stack.flyte_config(), PROJECT, DOMAIN)
        self.version = f"v{time.time():.0f}"
        shutil.copy(PROGRAM, folder)
        command = [str(Path(sys.executable).parent / "pyflyte"), "register", "-p", PROJECT, "-d", DOMAIN]
        command += ["--version", self.version, "--image", cluster.environment["CLUSTER_TASK_IMAGE"], PROGRAM.name]
        env = {**os.environ, "FLYTECTL_CONFIG": str(stack.flyte_config_file)}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr

    def register_teams(self, folder: Path) -> None:
        """Those that react to one another."""
        own = shutil.copytree(TEAMS, folder / TEAMS.name)
        command = [str(Path(sys.executable).parent / "pyflyte"), "register", "-p", PROJECT, "-d", DOMAIN]
        command += ["--activate-launchplans", "--version", self.version]
        command += ["--image", self.cluster.environment["CLUSTER_TASK_IMAGE"], "."]
        env = {**os.environ, "FLYTECTL_CONFIG": str(self.stack.flyte_config_file)}
        done = subprocess.run(command, cwd=own, env=env, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr

    def launch(self, name: str, **inputs: Any) -> FlyteWorkflowExecution:
        workflow = self.remote.fetch_workflow(name=f"{PROGRAM.stem}.{name}", version=self.version)
        return self.remote.execute(workflow, inputs=inputs)

    def wait(self, execution: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
        deadline = time.monotonic() + PATIENCE
        self.remote.sync_execution(execution)
        while not execution.is_done:
            assert time.monotonic() < deadline, f"{execution.id.name} is still {execution.closure.phase}"
            time.sleep(0.5)
            self.remote.sync_execution(execution)
        return execution

    def value(self, execution: FlyteWorkflowExecution, output: str = "o0", kind: Any = None) -> Any:
        self.wait(execution)
        assert execution.error is None, execution.error.message
        return execution.outputs.get(output, kind)

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.stack.admin_token}"}
        answer = requests.get(f"{self.stack.http_url}/api/v1/{path}", headers=headers, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def put_secret(self, group: str, key: str, value: str) -> None:
        headers = {"Authorization": f"Bearer {self.stack.admin_token}"}
        body = {"project": PROJECT, "domain": DOMAIN, "group": group, "key": key, "value": value}
        answer = requests.put(f"{self.stack.http_url}/api/v1/secrets", json=body, headers=headers, timeout=30)
        assert answer.ok, answer.text


@pytest.fixture(scope="module")
def place(pods_stack: RunningStack, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Harbour:
    return Harbour(pods_stack, cluster, tmp_path_factory.mktemp("programs"))


def test_programs_of_every_kind_give_their_outputs(place: Harbour) -> None:
    place.put_secret("harbour", "token", "sesame")
    started = {
        "chain": place.launch("chain", n=4),
        "mapped": place.launch("mapped"),
        "grown": place.launch("grown", n=2),
        "raw": place.launch("raw", a=2, b=3),
        "secret": place.launch("secret"),
        "handed_on": place.launch("handed_on"),
        "flaky": place.launch("flaky"),
    }
    assert place.value(started["chain"]).startswith("5 on ")
    assert place.value(started["mapped"], kind=list[int]) == [2, 3, 4]
    assert place.value(started["grown"], kind=list[int]) == [1, 2]
    assert place.value(started["raw"], "total") == 5
    assert place.value(started["raw"], "text") == "hi"
    assert place.value(started["secret"]) == 6
    assert place.value(started["handed_on"]) == "from a pod"
    assert place.value(started["flaky"]) == 7


def test_errors_are_the_users_own_words(place: Harbour) -> None:
    own, raw = place.launch("failing", n=3), place.launch("raw_that_fails", a=1)
    assert "ValueError: no 3" in place.wait(own).error.message
    assert "exit code 3: sorry" in place.wait(raw).error.message


def test_pods_are_found_by_their_execution(place: Harbour) -> None:
    execution = place.launch("patient", n=1)
    name = execution.id.name

    def pods() -> list[Any]:
        return place.cluster.get("pods", "--all-namespaces", "-l", f"causeway/execution={name}")["items"]  # type: ignore[no-any-return]

    eventually(pods)
    labels = pods()[0]["metadata"]["labels"]
    assert (labels["causeway/node"], labels["causeway/attempt"]) == ("n0", "0")
    assert pods()[0]["metadata"]["namespace"] == f"{PROJECT}-{DOMAIN}"
    assert place.value(execution) == 2
    eventually(lambda: not pods())


def test_control_planes_that_are_killed_lose_and_double_nothing(place: Harbour) -> None:
    wide, patient = place.launch("wide"), place.launch("patient", n=1)
    selected = ("--namespace", f"{PROJECT}-{DOMAIN}", "-l", f"causeway/execution={wide.id.name}")
    eventually(lambda: len(place.cluster.get("pods", *selected)["items"]) >= 4)
    for name in ("executor-kubernetes", "worker-1", "executor-kubernetes"):
        place.stack.kill(name)
        time.sleep(4)
    assert place.value(wide, kind=list[int]) == list(range(8))
    assert place.value(patient) == 2
    asked = f"TaskExecution.objects.filter(node__execution__name={wide.id.name!r}).values_list('attempt', flat=True)"
    say = f"from scheduler.models import TaskExecution; print(sorted({asked}))"
    assert place.stack.manage("shell", "-v", "0", "-c", say).splitlines()[-1] == str([0] * 8)
    eventually(lambda: not place.cluster.get("pods", *selected)["items"])


def test_versions_start_what_waits_for_them_and_a_person_decides(place: Harbour, tmp_path: Path) -> None:
    """From a published version to what is deployed of it, in pods all the way; nobody calls anybody."""
    place.register_teams(tmp_path)
    client = Client(place.stack.http_url, place.stack.admin_token)
    plan = place.remote.fetch_launch_plan(name="reactive.plans.publish", version=place.version)
    assert place.value(place.remote.execute(plan, inputs={"harbour": "Ostend"})) == 6

    model = published(client, "model-on-pods")
    assert "made of 6 rows" in model.card()
    (waiting,) = eventually(client.approvals, PATIENCE)
    assert newest(client, "deployed-on-pods") is None, "nobody has approved it"
    client.approve(waiting["id"], comment="it floats")

    deployed = published(client, "deployed-on-pods")
    assert deployed.value == "deployed: Ostend 6"
    assert model.fields["producer"].startswith("task:reactive.work.train")
    (producing,) = deployed.lineage()["producers"]
    assert "approved-on-pods" in {fields["name"] for fields in producing["versions"]}


def published(client: Client, name: str) -> Version:
    found = eventually(lambda: newest(client, name), PATIENCE)
    assert found is not None
    return found


def newest(client: Client, name: str) -> Version | None:
    try:
        return client.get(name, partitions={"harbour": "Ostend"})
    except CausewayError as error:
        assert error.status == 404, error
        return None
