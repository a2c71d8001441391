"""The Kubernetes cluster that tests use: one that `KUBECONFIG` names, one that runs, or one started for them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from scheduler.executors.kubernetes.client import Api, ApiError, connect
from scheduler.executors.kubernetes.cluster import Cluster as Settings

SCRIPT = Path(__file__).resolve().parents[2] / "script" / "cluster"
NOT_HERE = 3  # the script's exit code where there can be no cluster on this machine
GPU = "nvidia.com/gpu"

T = TypeVar("T")
GROUPS = {  # of the API, of the kinds that are not of its core
    "apis/kubeflow.org/v1": ("pytorchjobs", "tfjobs"),
    "apis/kubeflow.org/v2beta1": ("mpijobs",),
    "apis/ray.io/v1": ("rayjobs", "rayclusters"),
    "apis/sparkoperator.k8s.io/v1beta2": ("sparkapplications",),
    "apis/kubernetes.dask.org/v1": ("daskjobs", "daskclusters", "daskworkergroups"),
    "apis/apps/v1": ("deployments",),
    "apis/batch/v1": ("jobs",),
    "apis/kueue.x-k8s.io/v1beta2": ("clusterqueues",),
}
OF_NO_NAMESPACE = ("nodes", "clusterqueues")


def _path(kind: str, namespace: str, name: str) -> str:
    root = next((root for root, kinds in GROUPS.items() if kind in kinds), "api/v1")
    place = f"/namespaces/{namespace}" if namespace and kind not in OF_NO_NAMESPACE else ""
    return f"/{root}{place}/{kind}" + (f"/{name}" if name else "")


class NoClusterError(Exception):
    """There can be none on this machine; the text says why."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers."""

    environment: Mapping[str, str]
    """What `script/cluster status --env` says: KUBECONFIG, CAUSEWAY_STORE_URL, AWS_*, CLUSTER_TASK_IMAGE."""
    ours: bool
    """Made by script/cluster, so that its parts may be stopped."""
    was_started: bool
    """By these tests, so that these stop it."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints. Raises AssertionError with what kubectl says where it fails."""
        command = [self.environment["CLUSTER_KUBECTL"], *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"kubectl {shlex.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Raises AssertionError with the cluster's words where it refuses."""
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(manifest))

    @cached_property
    def api(self) -> Api:
        """For what is asked again and again: `kubectl` takes a tenth of a second of CPU to start."""
        return connect(Settings(kubeconfig=self.environment["KUBECONFIG"]))

    def get(self, kinds: str, name: str = "", *, namespace: str = "", selector: str = "") -> Any:
        """The object of that name, or a list of all of these kinds (plurals, with commas), as `items`. Raises
        AssertionError with the cluster's words where it gives none.
        """
        query: dict[str, object] | None = {"labelSelector": selector} if selector else None
        answers = [self._call(_path(kind, namespace, name), query) for kind in kinds.split(",")]
        return answers[0] if name else {"items": [item for answer in answers for item in answer["items"]]}

    def _call(self, path: str, query: dict[str, object] | None) -> Any:
        try:
            return self.api.call("GET", path, query=query)
        except ApiError as error:
            raise AssertionError(f"{path}: {error}") from None

    def part(self, verb: str, name: str, *options: str) -> None:
        """Stop, start or restart one of its processes (script/cluster)."""
        done = subprocess.run([SCRIPT, verb, name, *options], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    def renamed(self, image: str, tag: str) -> str:
        """The same image under another name, on a node of script/cluster's."""
        other = f"{image.rpartition(':')[0]}:{tag}"
        socket = Path(self.environment["KUBECONFIG"]).parent / "containerd.sock"
        command = ["ctr", "-a", str(socket), "-n", "k8s.io", "images", "tag", "--force", image, other]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return other

    @property
    def gpus(self) -> int:
        """That pods may have, on nodes that are real."""
        nodes = self.get("nodes", selector="fake!=node")["items"]
        return sum(int(node["status"]["allocatable"].get(GPU, 0)) for node in nodes)


@dataclass(frozen=True)
class Namespace:
    """An own namespace of a test."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.name, *arguments, stdin=stdin)

    def get(self, kinds: str, name: str = "", *, selector: str = "") -> Any:
        return self.cluster.get(kinds, name, namespace=self.name, selector=selector)

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Raises AssertionError with the cluster's words where it refuses."""
        self.kubectl("create", "--filename", "-", stdin=json.dumps(manifest))

    def run(self, name: str, script: str, **container: Any) -> None:
        """A pod that runs a shell script in the task image, once."""
        main = {
            "name": "main",
            "image": self.cluster.environment["CLUSTER_TASK_IMAGE"],
            "command": ["sh", "-c", script],
            **container,
        }
        metadata = {"name": name, "labels": {"app": name}}
        spec = {"containers": [main], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
        self.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def pods(self) -> list[str]:
        """Their names."""
        return [pod["metadata"]["name"] for pod in self.get("pods")["items"]]

    def phase(self, pod: str) -> str:
        return str(self.get("pods", pod)["status"]["phase"])

    def wait_for_phase(self, pod: str, phase: str, seconds: float = 90) -> None:
        """Raises AssertionError, with what the cluster says of the pod, where it ends otherwise or takes longer."""
        ended = {"Succeeded", "Failed"}

        def reached() -> bool:
            now = self.phase(pod)
            assert now == phase or now not in ended, f"{pod} is {now}\n{self.describe(pod)}"
            return now == phase

        try:
            eventually(reached, seconds)
        except TimeoutError:
            raise AssertionError(f"{pod} is not {phase} after {seconds} s\n{self.describe(pod)}") from None

    def output_of(self, pod: str) -> str:
        """What it wrote, once it has succeeded."""
        self.wait_for_phase(pod, "Succeeded")
        return self.kubectl("logs", pod, "--container", "main")

    def describe(self, pod: str) -> str:
        """What the cluster says of it, and its last words."""
        command = [self.cluster.environment["CLUSTER_KUBECTL"], "--namespace", self.name, "logs", "--tail", "20", pod]
        environment = {**os.environ, **self.cluster.environment}
        words = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        return self.kubectl("describe", "pod", pod) + words.stdout + words.stderr


def eventually(found: Callable[[], T], seconds: float = 60) -> T:
    """The first truthy answer. Raises TimeoutError with the last one where none comes in time."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s still {answer!r}")
        time.sleep(0.2)
    return answer


def _script(verb: str, *options: str) -> str:
    """What it prints. Raises NoClusterError where there can be no cluster, AssertionError where it failed."""
    done = subprocess.run([SCRIPT, verb, *options], capture_output=True, text=True)
    if done.returncode == NOT_HERE:
        raise NoClusterError(done.stderr.strip())
    assert done.returncode == 0, f"script/cluster {verb}: {done.stdout}{done.stderr}"
    return done.stdout


def _environment() -> dict[str, str]:
    said = shlex.split(_script("status", "--env"))
    named = ("CLUSTER_TASK_IMAGE", "CAUSEWAY_STORE_URL", "AWS_", "FLYTE_AWS_")  # only our environment knows another's
    given = {name: value for name, value in os.environ.items() if name.startswith(named)}
    return given | dict(word.split("=", 1) for word in said if "=" in word)


def a_cluster() -> Cluster:
    """The one to use. Raises NoClusterError where there can be none, AssertionError where one did not start."""
    was_up = subprocess.run([SCRIPT, "status"], capture_output=True).returncode == 0
    if not was_up:
        _script("up")
    environment = _environment()
    if "CLUSTER_TASK_IMAGE" not in environment:
        raise NoClusterError(
            "CLUSTER_TASK_IMAGE names no image that the cluster of KUBECONFIG can run, with Python and flytekit"
        )
    return Cluster(environment, ours=environment.get("CLUSTER_MADE_HERE") == "yes", was_started=not was_up)


def stop(cluster: Cluster) -> None:
    _script("down")
