"""A cluster that is set while Causeway runs, and a GPU task that waits on it, as people see them in the console."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from causeway.client import Client
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.cluster.programs import gpus as program
from tests.cluster.running import GPU, Cluster, Namespace, eventually
from tests.stack import RunningStack, running_stack

PROJECT, DOMAIN = "flytesnacks", "development"
STORE = ("CAUSEWAY_STORE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PATIENCE = 120.0


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Without any cluster, and with a store that pods reach."""
    env = {name: cluster.environment[name] for name in STORE}
    with running_stack(tmp_path_factory.mktemp("shown") / "home", **env) as running:
        yield running


@pytest.fixture
def client(stack: RunningStack) -> Client:
    return Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN)


@pytest.fixture
def browser(stack: RunningStack) -> requests.Session:
    session = requests.Session()
    (link,) = re.findall(r"http\S+", stack.manage("login_link"))
    assert session.get(link, timeout=30).ok
    return session


@pytest.fixture
def taken(namespace: Namespace, cluster: Cluster) -> Iterator[str]:
    """A pod that has all the cluster's GPUs."""
    if cluster.gpus == 0:
        pytest.skip("this cluster has no GPUs")
    namespace.run("holder", "exec sleep 600", resources={"limits": {GPU: str(cluster.gpus)}})
    namespace.wait_for_phase("holder", "Running")
    yield "holder"


def launch(stack: RunningStack, cluster: Cluster, folder: Path) -> FlyteWorkflowExecution:
    file = Path(program.__file__)
    shutil.copy(file, folder)
    command = [str(Path(sys.executable).parent / "pyflyte"), "register", "-p", PROJECT, "-d", DOMAIN, "--version", "v1"]
    command += ["--image", cluster.environment["CLUSTER_TASK_IMAGE"], file.name]
    env = {**os.environ, "FLYTECTL_CONFIG": str(stack.flyte_config_file)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    remote = FlyteRemote(stack.flyte_config(), PROJECT, DOMAIN)
    return remote.execute(remote.fetch_workflow(name="gpus.one_more", version="v1"), inputs={"seconds": 20})


def test_a_task_that_waits_for_one_gpu_more_than_there_are_is_understood_from_its_page(
    stack: RunningStack,
    client: Client,
    browser: requests.Session,
    cluster: Cluster,
    namespace: Namespace,
    taken: str,
    tmp_path: Path,
) -> None:
    kubeconfig = cluster.kubectl("config", "view", "--raw", "--flatten", "--minify")
    client.clusters.set("gpus", {"image": cluster.environment["CLUSTER_TASK_IMAGE"]}, kubeconfig=kubeconfig)
    assert client.clusters.check("gpus")[0].startswith("cluster gpus: Kubernetes")
    eventually(lambda: client.clusters.get("gpus")["alive"], PATIENCE)

    name = launch(stack, cluster, tmp_path).id.name
    node = f"executions/{PROJECT}/{DOMAIN}/{name}/nodes/n0"

    def attempt() -> Any:
        found = client.connection.call("GET", node)["newest_attempts"] if _is_there(client, name) else []
        return found[0] if found else {}

    waits = eventually(lambda: attempt().get("waiting"), PATIENCE)
    assert waits["code"] == "Unschedulable" and f"Insufficient {GPU}" in waits["message"]
    row = attempt()
    assert (row["cluster"], row["namespace"]) == ("gpus", f"{PROJECT}-{DOMAIN}")
    described = cluster.kubectl(*row["kubectl"][0].split()[1:])
    assert f"causeway/execution={name}" in described
    page = browser.get(f"{stack.http_url}/{node}/", timeout=30).text
    assert "Waits: Unschedulable" in page and f"Insufficient {GPU}" in page and row["pod"] in page
    events = browser.get(f"{stack.http_url}/{_pod_of(page)}", timeout=30).text
    assert "FailedScheduling" in events and "Pending" in events

    namespace.kubectl("delete", "pod", taken, "--wait=false", "--grace-period=0", "--force")
    eventually(lambda: attempt()["phase"] == "RUNNING", PATIENCE)
    eventually(lambda: "has it for 2 s" in _log(client, node), PATIENCE)
    assert attempt()["phase"] == "RUNNING", "the log is there while the pod runs"
    eventually(lambda: attempt()["phase"] == "SUCCEEDED", PATIENCE)
    eventually(lambda: "has it for 19 s" in _log(client, node), PATIENCE)
    page = browser.get(f"{stack.http_url}/{node}/", timeout=30).text
    assert "Waits:" not in page and "Unschedulable: " in page

    client.clusters.remove("gpus")
    assert client.clusters.list() == []


def _is_there(client: Client, name: str) -> bool:
    nodes = client.connection.call("GET", f"executions/{PROJECT}/{DOMAIN}/{name}/nodes")["results"]
    return any(node["node_id"] == "n0" for node in nodes)


def _pod_of(page: str) -> str:
    found = re.search(r'hx-get="/([^"]+/pod/\d+/)"', page)
    assert found
    return found[1]


def _log(client: Client, node: str) -> str:
    answer = client.connection.raw("GET", f"{node}/attempts/0/log")
    return answer.text
