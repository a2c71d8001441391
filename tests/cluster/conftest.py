from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from scheduler.executors.kubernetes.reuse.policy import Reuse
from tests.cluster.driving import PROGRAMS, PROJECT, STORE, Programs, stack_of
from tests.cluster.running import GPU, SCRIPT, Cluster, Namespace, NoClusterError, a_cluster, eventually, stop
from tests.stack import RunningStack

HERE = Path(__file__).parent
BESIDE = ("operators", "kueue")  # what is started beside the cluster, for the tests that ask for it
SHARING = Reuse(replicas=4, idle_seconds=25)  # of pods that stay, in the projects whose tests look at them


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
    # Last those that need operators, and Kueue: these start once, and nothing is done to the cluster under them.
    items.sort(key=lambda item: [name in getattr(item, "fixturenames", ()) for name in reversed(BESIDE)])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Kubernetes cluster. Where there can be none the tests are skipped, or fail where CAUSEWAY_REQUIRE_CLUSTER=1."""
    try:
        found = a_cluster()
    except NoClusterError as why:
        if os.environ.get("CAUSEWAY_REQUIRE_CLUSTER") == "1":
            pytest.fail(f"no cluster, and CAUSEWAY_REQUIRE_CLUSTER=1: {why}")
        if note := os.environ.get("CLUSTER_SKIPPED"):  # script/test says it once more, at its end
            Path(note).write_text(str(why))
        pytest.skip(f"no cluster: {why}")
    yield found
    if found.was_started:
        stop(found)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    """One of its own for each test."""
    with a_namespace(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def shared_namespace(cluster: Cluster) -> Iterator[Namespace]:
    """One for the tests of a file that go on at the same time."""
    with a_namespace(cluster) as made:
        yield made


@contextmanager
def a_namespace(cluster: Cluster) -> Iterator[Namespace]:
    """With the account that pods need."""
    made = Namespace(cluster, f"test-{uuid.uuid4().hex[:10]}")
    cluster.kubectl("create", "namespace", made.name)
    eventually(lambda: made.get("serviceaccounts")["items"])
    yield made
    cluster.kubectl("delete", "namespace", made.name, "--wait=false")


@pytest.fixture
def own_cluster(cluster: Cluster) -> Cluster:
    """One whose processes a test may stop."""
    if not cluster.ours:
        pytest.skip("the cluster that KUBECONFIG names is not ours to stop parts of")
    return cluster


@pytest.fixture
def gpus(cluster: Cluster) -> int:
    """How many there are, and no pod of another test holds one any more."""
    count = cluster.gpus
    if count == 0:
        pytest.skip("this cluster has no GPUs")

    def held() -> list[str]:
        pods = cluster.get("pods")["items"]
        asking = [pod for pod in pods if any(GPU in _limits(each) for each in pod["spec"]["containers"])]
        return [pod["metadata"]["name"] for pod in asking if pod["status"]["phase"] in ("Pending", "Running")]

    eventually(lambda: not held())
    return count


def _limits(container: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return container.get("resources", {}).get("limits", {})


@pytest.fixture(scope="session")
def pods_stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Causeway beside the cluster, with all of its tasks in pods of it."""
    folder = tmp_path_factory.mktemp("pods")
    described = {
        "name": "pods",
        "kubeconfig": cluster.environment["KUBECONFIG"],
        "image": cluster.environment["CLUSTER_TASK_IMAGE"],
        "abort_grace_seconds": 2,
        "reuse": {project: asdict(SHARING) for project in ("ferries-one", "ferries-two")},
    }
    (folder / "clusters.yaml").write_text(json.dumps(described))
    env = {name: cluster.environment[name] for name in STORE} | {"CAUSEWAY_CLUSTERS": str(folder / "clusters.yaml")}
    with stack_of(cluster, folder / "home", **env) as running:
        yield running


@pytest.fixture(scope="session")
def harbour(pods_stack: RunningStack, cluster: Cluster) -> Programs:
    return Programs(pods_stack, cluster, PROGRAMS / "harbour.py", PROJECT)


def beside(*words: str) -> None:
    """`script/cluster` does something beside the cluster."""
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def operators(cluster: Cluster) -> Iterator[Cluster]:
    """The training operator and the MPI operator."""
    _check_built(cluster, {"training", "mpi"} <= set(cluster.environment.get("CLUSTER_OPERATORS", "").split()))
    beside("operators", "on")
    yield cluster
    beside("operators", "off")


@pytest.fixture(scope="session")
def kueue(operators: Cluster) -> Iterator[Cluster]:
    """It looks for the kinds of operators when it starts, so these are there."""
    _check_built(operators, operators.environment["CLUSTER_KUEUE"] != "no")
    beside("kueue", "on")
    yield operators
    beside("kueue", "off")


@pytest.fixture(scope="session")
def registry(cluster: Cluster) -> Iterator[str]:
    """The address of a registry of images, which the cluster pulls from, with builder:1 and base:1 in it."""
    _check_built(cluster, cluster.environment.get("CLUSTER_REGISTRY_BUILT") == "yes")
    beside("registry", "on")
    yield cluster.environment["CLUSTER_REGISTRY"]
    beside("registry", "off")


def _check_built(cluster: Cluster, built: bool) -> None:
    if not cluster.ours:
        pytest.skip("operators, Kueue and a registry are started beside a cluster of ours only")
    if not built and os.environ.get("CAUSEWAY_REQUIRE_CLUSTER") != "1":
        pytest.skip("not built: script/cluster build training, mpi, kueue; script/cluster registry on")
