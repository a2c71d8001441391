"""Nodes that only pretend, for tests of scale: pods on them run and end as told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.running import SCRIPT, Cluster, Namespace, eventually

NODES = 3


def _fake_nodes(count: int) -> None:
    done = subprocess.run([SCRIPT, "fake-nodes", str(count)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def fake_nodes(own_cluster: Cluster) -> Iterator[int]:
    if own_cluster.environment["CLUSTER_KWOK"] == "no" and os.environ.get("CAUSEWAY_REQUIRE_CLUSTER") != "1":
        pytest.skip("kwok is not built: script/cluster build kwok")
    _fake_nodes(NODES)
    yield NODES
    _fake_nodes(0)


def _run(namespace: Namespace, name: str, **annotations: str) -> None:
    namespace.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": {f"fake/{key}": value for key, value in annotations.items()}},
            "spec": {
                "nodeSelector": {"fake": "node"},
                "tolerations": [{"key": "fake", "operator": "Exists"}],
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "8"}}}],
            },
        }
    )


def test_pods_on_fake_nodes_run_and_end_as_told(namespace: Namespace, fake_nodes: int) -> None:
    _run(namespace, "good", runs="1s")
    _run(namespace, "bad", runs="1s", exit="3")
    _run(namespace, "endless")
    eventually(lambda: namespace.phase("good") == "Succeeded")
    eventually(lambda: namespace.phase("bad") == "Failed")
    (status,) = namespace.get("pods", "bad")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 3
    assert namespace.phase("endless") == "Running"
    namespace.kubectl("delete", "pod", "endless")  # returns when it is gone
    nodes = {each["spec"]["nodeName"] for each in namespace.get("pods")["items"]}
    assert all(node.startswith("fake-") for node in nodes)


def test_other_pods_do_not_come_there(namespace: Namespace, fake_nodes: int) -> None:
    namespace.run("real", "true")
    namespace.wait_for_phase("real", "Succeeded")
    assert namespace.get("pods", "real")["spec"]["nodeName"] == "node-1"
