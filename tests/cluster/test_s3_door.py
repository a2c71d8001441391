"""The S3 door of Causeway's own: pods, tasks of the machine and those who look see the same objects."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.running import Cluster
from tests.cluster.test_programs_on_pods import DOMAIN, PROJECT, Harbour, remove_pods
from tests.stack import running_stack


def test_what_a_pod_writes_is_read_through_the_door(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CAUSEWAY_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    env = {
        "CAUSEWAY_KUBECONFIG": cluster.environment["KUBECONFIG"],
        "CAUSEWAY_CLUSTER_IMAGE": cluster.environment["CLUSTER_TASK_IMAGE"],
    }
    with running_stack(tmp_path / "home", "auto", **env) as running:
        say = "from scheduler.executors.kubernetes.factory import owner; print(owner())"
        owner = running.manage("shell", "-v", "0", "-c", say).splitlines()[-1]
        try:
            (tmp_path / "programs").mkdir()
            place = Harbour(running, cluster, tmp_path / "programs")
            assert place.value(place.launch("handed_on")) == "from a pod"
            time.sleep(1)
        finally:
            remove_pods(cluster, f"{PROJECT}-{DOMAIN}", owner)
        kept = [path for path in (tmp_path / "home" / "s3" / "causeway").rglob("*") if path.is_file()]
        assert any(path.read_bytes() == b"from a pod" for path in kept)
