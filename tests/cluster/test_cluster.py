"""The cluster that `script/cluster` makes is one: what the other tests on it, and their readers, rely on."""

from __future__ import annotations

import shlex
from datetime import timedelta
from importlib.metadata import version
from urllib.request import urlopen

import pytest

from artifacts.store import open_store
from tests.cluster.running import GPU, Cluster, Namespace, eventually

ONE_GPU = {"limits": {GPU: "1"}}
SAY_GPU = "echo $NVIDIA_VISIBLE_DEVICES; "


def _is_ready(cluster: Cluster, node: str) -> bool:
    conditions = cluster.get("nodes", node)["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def test_it_has_a_node_that_is_ready(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert nodes
    assert any(_is_ready(cluster, node["metadata"]["name"]) for node in nodes)


def test_it_runs_flytekit_in_a_pod_as_pinned(namespace: Namespace) -> None:
    asked = "import flytekit, pandas; print(flytekit.__version__, pandas.__version__)"
    namespace.run("hello", f"python3 -c {shlex.quote(asked)} && pyflyte-execute --help")
    words = namespace.output_of("hello")
    assert version("flytekit") in words
    assert version("pandas") in words
    assert "--output-prefix" in words


def test_a_failing_pod_says_how_it_ended(namespace: Namespace) -> None:
    namespace.run("failing", "exit 7")
    namespace.wait_for_phase("failing", "Failed")
    (status,) = namespace.get("pods", "failing")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 7


def test_pods_reach_a_service_by_its_name(namespace: Namespace) -> None:
    namespace.run("web", "mkdir /tmp/web && cd /tmp/web && echo found > page && exec python3 -m http.server 8080")
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": "web"}, "ports": ports}
    namespace.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
    namespace.wait_for_phase("web", "Running")
    read = "import urllib.request as u; print(u.urlopen('http://web/page', timeout=5).read().decode())"
    namespace.run("reader", f"for n in $(seq 20); do python3 -c {shlex.quote(read)} && exit 0; sleep 1; done; exit 1")
    assert "found" in namespace.output_of("reader")


def test_it_hands_out_each_gpu_once_and_lets_one_more_pod_wait(namespace: Namespace, gpus: int) -> None:
    holders = [f"holder-{number}" for number in range(gpus)]
    for name in holders:
        namespace.run(name, SAY_GPU + "exec sleep 600", resources=ONE_GPU)
    for name in holders:
        namespace.wait_for_phase(name, "Running")
    held = {eventually(lambda name=name: namespace.kubectl("logs", name)).strip() for name in holders}  # type: ignore[misc]
    assert len(held) == gpus
    assert "" not in held

    namespace.run("late", SAY_GPU, resources=ONE_GPU)
    waiting = eventually(lambda: namespace.get("pods", "late")["status"].get("conditions"))
    assert [(each["reason"], each["status"]) for each in waiting if each["type"] == "PodScheduled"] == [
        ("Unschedulable", "False")
    ]
    assert f"Insufficient {GPU}" in waiting[0]["message"]

    namespace.kubectl("delete", "pod", holders[0])
    assert namespace.output_of("late").strip() in held


def test_gpus_stay_known_and_held_when_the_kubelet_starts_anew(
    own_cluster: Cluster, namespace: Namespace, gpus: int
) -> None:
    namespace.run("before", SAY_GPU + "exec sleep 600", resources=ONE_GPU)
    namespace.wait_for_phase("before", "Running")
    held = eventually(lambda: namespace.kubectl("logs", "before")).strip()

    own_cluster.part("restart", "kubelet", "--kill")
    namespace.run("after", SAY_GPU, resources={"limits": {GPU: str(gpus - 1)}})
    others = namespace.output_of("after").strip().split(",")
    assert len(others) == gpus - 1
    assert held not in others
    assert namespace.phase("before") == "Running"
    eventually(lambda: own_cluster.gpus == gpus)  # the kubelet says 0 until the plug-in is back, and looks every 10 s


def test_pods_and_this_machine_share_a_store(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = namespace.cluster.environment
    if "AWS_ENDPOINT_URL" not in environment:
        pytest.skip("AWS_ENDPOINT_URL names no store that the cluster of KUBECONFIG reaches")
    for name, value in environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    store = open_store(f"{environment['CAUSEWAY_STORE_URL']}/{namespace.name}")
    sent, back = store.join(store.root, "sent"), store.join(store.root, "back")
    store.put(sent, b"from this machine")

    lines = (
        "from flytekit.core.data_persistence import FileAccessProvider",
        f"files = FileAccessProvider('/tmp/sandbox', {store.root!r})",
        f"files.get_data({sent!r}, '/tmp/sent')",
        "text = open('/tmp/sent').read()",
        "open('/tmp/back', 'w').write(text + ' and from a pod')",
        f"files.put_data('/tmp/back', {back!r})",
        "print(text)",
    )
    given = [{"name": name, "value": value} for name, value in environment.items() if name.startswith("FLYTE_AWS_")]
    namespace.run("storing", f"python3 -c {shlex.quote(chr(10).join(lines))}", env=given)
    assert "from this machine" in namespace.output_of("storing")

    assert store.get(back) == b"from this machine and from a pod"
    with urlopen(store.signed_get(back, expires=timedelta(minutes=1))) as answer:
        assert answer.read() == b"from this machine and from a pod"
    assert {each.uri for each in store.list(store.root)} == {sent, back}
    for uri in (sent, back):
        store.delete(uri)
    assert not store.exists(back)


def test_pods_outlive_an_api_server_that_was_killed(own_cluster: Cluster, namespace: Namespace) -> None:
    namespace.run("steady", "sleep 4; echo through")
    namespace.wait_for_phase("steady", "Running")
    own_cluster.part("restart", "api", "--kill")

    def answers() -> bool:
        try:
            return own_cluster.kubectl("get", "--raw", "/readyz") == "ok"
        except AssertionError:
            return False

    eventually(answers)
    assert "through" in namespace.output_of("steady")
