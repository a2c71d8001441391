from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.running import GPU, Cluster, Namespace, NoClusterError, a_cluster, eventually, stop

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


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
        pods = cluster.get("pods", "--all-namespaces")["items"]
        asking = [pod for pod in pods if any(GPU in _limits(each) for each in pod["spec"]["containers"])]
        return [pod["metadata"]["name"] for pod in asking if pod["status"]["phase"] in ("Pending", "Running")]

    eventually(lambda: not held())
    return count


def _limits(container: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return container.get("resources", {}).get("limits", {})
