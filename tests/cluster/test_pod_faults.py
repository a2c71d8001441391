"""Parts of a cluster, and the way to it, that fail: an executor notices, and nothing is lost or done twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.attempts.observations import Ended, Running, Waiting
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import SYSTEM, Attempts
from tests.cluster.cutting import Wire
from tests.cluster.running import SCRIPT, Cluster, Namespace, eventually

ETCD = "http://127.0.0.1:2379"
SILENCE = (2.0, 12.0)  # in place of 5 and 90 seconds, so that a test need not wait for so long
# Node controllers take a minute to find that a node is gone, and leave its pods there for five more where they may.
QUICKLY = (
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1},
)


@pytest.fixture
def making(namespace: Namespace, tmp_path: Path) -> Iterator[Callable[..., Attempts]]:
    made: list[Attempts] = []

    def make(**settings: object) -> Attempts:
        made.append(Attempts(namespace, tmp_path, **settings))
        return made[-1]

    yield make
    for attempts in made:
        attempts.close()


def ends_well_once(attempts: Attempts, *given: Assignment) -> None:
    for one in given:
        assert attempts.outcome(one, 150).phase == AttemptPhase.SUCCEEDED
        assert len(attempts.of(Ended, one)) == 1
        assert len(attempts.of(Running, one)) <= 1


# --- the network ------------------------------------------------------------------------------------------------------


def test_a_network_that_goes_silent_is_noticed_and_loses_nothing(
    making: Callable[..., Attempts], namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.executors.kubernetes.watch.TIMEOUT", SILENCE)
    monkeypatch.setattr("scheduler.executors.kubernetes.client.CALL_TIMEOUT", SILENCE)
    wire = Wire(namespace.cluster.environment["KUBECONFIG"])
    attempts = making(kubeconfig=wire.kubeconfig(tmp_path / "over-the-wire"))
    ends, goes_on = (
        attempts.submit("for n in 1 2 3; do echo $n; sleep 2; done", with_outputs=True),
        attempts.submit("for n in $(seq 30); do echo $n; sleep 1; done", with_outputs=True),
    )
    attempts.running(ends)
    attempts.running(goes_on)
    wire.go_silent()
    meanwhile = attempts.submit("echo late", with_outputs=True)
    eventually(lambda: namespace.phase(attempts.pod(ends)) == "Succeeded")
    attempts.until(lambda: attempts.of(Waiting, meanwhile))
    assert not attempts.of(Ended, ends), "nothing can be known of it"
    wire.heal()
    ends_well_once(attempts, ends, meanwhile, goes_on)
    assert attempts.log(ends).split() == ["1", "2", "3"]
    assert attempts.log(goes_on).split() == [str(number) for number in range(1, 31)]
    wire.close()


# --- what the cluster keeps -------------------------------------------------------------------------------------------


@pytest.fixture
def etcd(own_cluster: Cluster) -> Iterator[Path]:
    """The folder that it keeps everything in. All parts run again afterwards."""
    yield Path(own_cluster.environment["KUBECONFIG"]).parent / "etcd"
    for part in ("etcd", "api", "controllers", "scheduler", "proxy", "dns", "kubelet"):
        own_cluster.part("start", part)
    eventually(lambda: answers(own_cluster), 120)


def answers(cluster: Cluster) -> bool:
    try:
        return cluster.kubectl("get", "--raw", "/readyz") == "ok"
    except AssertionError:
        return False


def revision() -> int:
    return int(asked_of_etcd("kv/range", {"key": "AA=="})["header"]["revision"])


def asked_of_etcd(what: str, body: object) -> dict[str, dict[str, str]]:
    request = urllib.request.Request(
        f"{ETCD}/v3/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def start_anew(cluster: Cluster, *parts: str) -> None:
    for part in parts:
        cluster.part("start", part)
    eventually(lambda: answers(cluster), 120)


def test_a_cluster_that_forgot_its_history_and_one_that_was_set_back_lose_nothing(
    making: Callable[..., Attempts], own_cluster: Cluster, etcd: Path, tmp_path: Path
) -> None:
    attempts = making()
    steady = attempts.submit("sleep 45", with_outputs=True)
    attempts.running(steady)

    # Compacted: no version of before can be gone on from.
    own_cluster.part("stop", "api")
    meanwhile = attempts.submit("true", with_outputs=True)
    asked_of_etcd("kv/compaction", {"revision": str(revision())})
    own_cluster.part("stop", "etcd")
    shutil.copytree(etcd, tmp_path / "snapshot")
    start_anew(own_cluster, "etcd", "api")
    ends_well_once(attempts, meanwhile)

    # Restored from a snapshot that is older than what the watch has seen: it would be silent for ever.
    made_since = attempts.submit("sleep 1000")
    attempts.running(made_since)
    for part in ("kubelet", "controllers", "scheduler", "proxy", "dns", "api", "etcd"):
        own_cluster.part("stop", part)
    shutil.rmtree(etcd)
    shutil.copytree(tmp_path / "snapshot", etcd)
    start_anew(own_cluster, "etcd", "api", "controllers", "scheduler", "proxy", "dns", "kubelet")
    error = attempts.error(made_since, 60)
    assert (error.code, error.kind) == ("PodLost", SYSTEM)
    assert attempts.outcome(made_since).retryable
    afterwards = attempts.submit("true", with_outputs=True)
    ends_well_once(attempts, steady, afterwards)
    attempts.gone(steady)
    attempts.gone(afterwards)


# --- nodes ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def other_nodes(own_cluster: Cluster) -> Iterator[None]:
    """That answer: where no node does, Kubernetes believes that it is its own fault, and ends no pod."""
    subprocess.run([SCRIPT, "fake-nodes", "2"], check=True, timeout=300)
    yield
    subprocess.run([SCRIPT, "fake-nodes", "0"], check=True, timeout=300)


def test_a_node_that_is_lost_loses_its_pods_and_they_are_tried_again(
    making: Callable[..., Attempts], own_cluster: Cluster, other_nodes: None
) -> None:
    attempts = making(tolerations=QUICKLY, graces=Graces(unreachable=2))
    given = attempts.submit("sleep 1000", pod=None)
    attempts.running(given)
    own_cluster.part("stop", "kubelet", "--kill")
    try:
        began = time.monotonic()
        error = attempts.error(given, 240)
        assert (error.code, error.kind) == ("NodeLost", SYSTEM)
        assert attempts.outcome(given).retryable
        assert time.monotonic() - began > 10, "the cluster itself found that the node is gone"
        again = attempts.submit("true", with_outputs=True)
        attempts.until(lambda: attempts.of(Waiting, again))
    finally:
        own_cluster.part("start", "kubelet")
    ends_well_once(attempts, again)
    attempts.gone(given)
