"""A cluster in a few lines: what it has, and what is missing before a task finds out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler.executors.kubernetes import overview
from scheduler.executors.kubernetes.client import ApiError, Unreachable
from scheduler.executors.kubernetes.cluster import Accelerators, BadCluster, Cluster

ALLOCATABLE = {"cpu": "32", "memory": "64Gi", "nvidia.com/gpu": "4"}
NODE = {"allocatable": ALLOCATABLE, "conditions": [{"type": "Ready", "status": "True"}]}


class Answers:
    """In place of a cluster. `absent`: rights that are not there."""

    host = "https://10.0.0.1:6443"

    def __init__(
        self, *absent: str, nodes: Any = None, pods: Any = (), kinds: dict[str, list[str]] | None = None
    ) -> None:
        self.absent, self.pods = set(absent), list(pods)
        self.kinds = kinds or {}  # plurals by group and version
        self.nodes = [{"status": NODE}, {"status": NODE}] if nodes is None else nodes

    def call(self, method: str, path: str, body: Any = None, **rest: Any) -> Any:
        if path == "/version":
            return {"gitVersion": "v1.34.4"}
        if path == "/api/v1/nodes":
            if isinstance(self.nodes, ApiError):
                raise self.nodes
            return {"items": self.nodes}
        if path == "/api/v1/pods":
            if "list all pods" in self.absent:
                raise ApiError(403, "Forbidden", "no")
            return {"items": self.pods}
        if path.startswith("/apis/") and method == "GET":
            if (found := self.kinds.get(path.removeprefix("/apis/"))) is None:
                raise ApiError(404, "NotFound", "no such group")
            return {"resources": [{"name": name} for name in found]}
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.absent}}


def said(monkeypatch: pytest.MonkeyPatch, answers: Any, store: str = "s3://b", endpoint: str = "", **given: Any) -> str:
    monkeypatch.setattr(overview, "connect", lambda cluster: answers)
    settings = {"image": "team/base:1", "endpoint": "causeway.example:8089", **given}
    return "\n".join(overview.lines(Cluster(**settings), store, endpoint))


def test_it_says_what_the_cluster_has_and_nothing_more_where_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = said(monkeypatch, Answers())
    assert found == (
        "cluster kubernetes: Kubernetes 1.34.4 at https://10.0.0.1:6443\n  2 nodes, 64 cpus, 8 nvidia.com/gpu\n"
        "  0 of 64 cpu in use, 0 of 128Gi memory in use, 0 of 8 nvidia.com/gpu in use"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"answers": Answers("create pods")}, "MISSING, without it no task runs: the right to create pods"),
        ({"answers": Answers("list events")}, "missing: the right to list events (to say why a pod waits)"),
        ({"answers": Answers(nodes=ApiError(403, "", "no"))}, "may not be asked"),
        ({"answers": Answers(nodes=[])}, "0 nodes, 0 cpus, no GPUs"),
        ({"store": "/srv/objects"}, "an object store that pods can reach; /srv/objects is a folder"),
        ({"endpoint": "http://localhost:9000"}, "pods cannot reach the object store at http://localhost:9000"),
        ({"image": ""}, "no default image"),
        ({"answers": Answers(nodes=Unreachable("no route"))}, "does not answer (no route): its tasks wait"),
    ],
)
def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], words: str) -> None:
    assert words in said(monkeypatch, given.pop("answers", Answers()), **given)


def test_kinds_of_distributed_jobs_are_told_and_what_is_missing_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    served = {"kubeflow.org/v1": ["pytorchjobs", "tfjobs"], "kubeflow.org/v2beta1": ["mpijobs"]}
    found = said(monkeypatch, Answers("delete tfjobs", kinds=served))
    jobs = "PyTorchJob (kubeflow.org/v1), TFJob (kubeflow.org/v1), MPIJob (kubeflow.org/v2beta1)"
    assert f"  distributed jobs: {jobs}\n" in found
    assert "missing: the right to delete tfjobs.kubeflow.org (TFJobs of distributed tasks)" in found
    assert "create pytorchjobs" not in found


def test_a_kubeconfig_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("nonsense: true")
    with pytest.raises(BadCluster, match="cannot be used"):
        list(overview.lines(Cluster(kubeconfig=str(file)), "s3://b", ""))


def test_a_cluster_that_is_away_is_no_reason_not_to_start(tmp_path: Path) -> None:
    file = tmp_path / "config"
    clusters = "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]"
    contexts = "contexts: [{name: a, context: {cluster: a, user: a}}]"
    file.write_text(f"{clusters}\n{contexts}\nusers: [{{name: a, user: {{}}}}]\ncurrent-context: a\n")
    found = list(overview.lines(Cluster(kubeconfig=str(file), image="x", endpoint="y"), "s3://b", ""))
    assert len(found) == 1
    assert "does not answer" in found[0]


@pytest.mark.parametrize(("version", "lacks"), [("v1beta2", False), ("", True)])
def test_queues_of_a_kueue_that_is_not_there_are_said(
    monkeypatch: pytest.MonkeyPatch, version: str, lacks: bool
) -> None:
    class WithQueues(Answers):
        def call(self, method: str, path: str, body: Any = None, **rest: Any) -> Any:
            if path == "/apis/kueue.x-k8s.io":
                if not version:
                    raise ApiError(404, "NotFound", "no")
                return {"preferredVersion": {"version": version}}
            return super().call(method, path, body, **rest)

    found = said(monkeypatch, WithQueues("list workloads"), queues={"*": "team"})
    assert ("missing: Kueue, whose queues the settings name" in found) is lacks
    assert "the right to list workloads.kueue.x-k8s.io (to say why a pod waits in a queue)" in found
    assert "Kueue" not in said(monkeypatch, WithQueues("list workloads"), queues={"*": ""})


def _node(name: str, gpus: int, *, ready: str = "True", **labels: str) -> Any:
    allocatable = {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": str(gpus), "hugepages-2Mi": "1Gi"}
    told = {label.replace("__", "/"): value for label, value in labels.items()}
    status = {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": name, "labels": told}, "status": status}


def _pod(node: str, gpus: int, phase: str = "Running") -> Any:
    asks = {"requests": {"cpu": "500m", "nvidia.com/gpu": str(gpus)}}
    return {"spec": {"nodeName": node, "containers": [{"resources": asks}]}, "status": {"phase": phase}}


def test_what_is_in_use_is_told_by_the_model_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [_node("a", 4, gpu="t4"), _node("b", 2, gpu="t4"), _node("c", 8, gpu="a100"), _node("d", 8, ready="False")]
    found = [_pod("a", 3), _pod("b", 1), _pod("c", 8), _pod("c", 4, "Succeeded"), _pod("d", 8)]
    answers = Answers(nodes=nodes, pods=found)
    monkeypatch.setattr(overview, "connect", lambda cluster: answers)
    seen = overview.look(Cluster(accelerators=Accelerators(device_label="gpu")), "s3://b", "")
    told = {(one.resource, one.model): (one.nodes, one.allocatable, one.used) for one in seen.has}
    assert told == {
        ("cpu", ""): (3, 24.0, 1.5),
        ("memory", ""): (3, 96 * 2.0**30, 0.0),
        ("nvidia.com/gpu", "a100"): (1, 8.0, 8.0),
        ("nvidia.com/gpu", "t4"): (2, 6.0, 4.0),
    }
    assert seen.version == "1.34.4"
    assert seen.lines[1] == "  3 nodes, 1 not ready, 24 cpus, 14 nvidia.com/gpu"
    assert "8 of 8 nvidia.com/gpu a100 in use, 4 of 6 nvidia.com/gpu t4 in use" in seen.lines[2]


def test_where_pods_of_others_may_not_be_seen_it_says_what_there_is_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(monkeypatch, Answers("list all pods"))
    assert "2 nodes, 64 cpus, 8 nvidia.com/gpu" in found and "in use" not in found
