"""A cluster that is set while Causeway runs, and a GPU task that waits on it, as people see them in the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.cluster.driving import DOMAIN, PATIENCE, PROGRAMS, PROJECT, Programs
from tests.cluster.running import GPU, Cluster, Namespace, eventually
from tests.stack import RunningStack


@pytest.fixture
def browser(pods_stack: RunningStack) -> requests.Session:
    session = requests.Session()
    (link,) = re.findall(r"http\S+", pods_stack.manage("login_link"))
    assert session.get(link, timeout=30).ok
    return session


@pytest.fixture
def taken(namespace: Namespace, gpus: int) -> Iterator[str]:
    """A pod that has all the cluster's GPUs."""
    namespace.run("holder", "exec sleep 600", resources={"limits": {GPU: str(gpus)}})
    namespace.wait_for_phase("holder", "Running")
    yield "holder"


def test_a_task_that_waits_for_one_gpu_more_than_there_are_is_understood_from_its_page(
    pods_stack: RunningStack, browser: requests.Session, cluster: Cluster, namespace: Namespace, taken: str
) -> None:
    place = Programs(pods_stack, cluster, PROGRAMS / "gpus.py")
    client = place.client
    kubeconfig = cluster.kubectl("config", "view", "--raw", "--flatten", "--minify")
    described = {"image": cluster.environment["CLUSTER_TASK_IMAGE"], "pools": ["gpus"], "weight": 0}
    client.clusters.set("gpus", described, kubeconfig=kubeconfig)
    assert client.clusters.check("gpus")[0].startswith("cluster gpus: Kubernetes")
    eventually(lambda: client.clusters.get("gpus")["alive"], PATIENCE)

    execution = place.launch("one_more", pool="gpus", seconds=8)
    name = execution.id.name
    node = f"executions/{PROJECT}/{DOMAIN}/{name}/nodes/n0"

    def attempt() -> Any:
        began = any(one["node_id"] == "n0" for one in place.get(execution, "nodes")["results"])
        return next(iter(place.get(execution, "nodes/n0")["newest_attempts"]), {}) if began else {}

    def log() -> str:
        return client.connection.raw("GET", f"{node}/attempts/0/log").text

    waits = eventually(lambda: attempt().get("waiting"), PATIENCE)
    assert waits["code"] == "Unschedulable" and f"Insufficient {GPU}" in waits["message"]
    row = attempt()
    assert (row["cluster"], row["namespace"]) == ("gpus", f"{PROJECT}-{DOMAIN}")
    said = cluster.kubectl(*row["kubectl"][0].split()[1:])
    assert f"causeway/execution={name}" in said
    page = browser.get(f"{pods_stack.http_url}/{node}/", timeout=30).text
    assert "Waits: Unschedulable" in page and f"Insufficient {GPU}" in page and row["pod"] in page
    events = browser.get(f"{pods_stack.http_url}/{_pod_of(page)}", timeout=30).text
    assert "FailedScheduling" in events and "Pending" in events

    namespace.kubectl("delete", "pod", taken, "--wait=false", "--grace-period=0", "--force")
    eventually(lambda: attempt()["phase"] == "RUNNING", PATIENCE)
    eventually(lambda: "has it for 2 s" in log(), PATIENCE)
    assert attempt()["phase"] == "RUNNING", "the log is there while the pod runs"
    eventually(lambda: attempt()["phase"] == "SUCCEEDED", PATIENCE)
    eventually(lambda: "has it for 7 s" in log(), PATIENCE)
    page = browser.get(f"{pods_stack.http_url}/{node}/", timeout=30).text
    assert "Waits:" not in page and "Unschedulable: " in page

    client.clusters.remove("gpus")
    assert [one["name"] for one in client.clusters.list()] == ["pods"]


def _pod_of(page: str) -> str:
    found = re.search(r'hx-get="/([^"]+/pod/\d+/)"', page)
    assert found
    return found[1]
