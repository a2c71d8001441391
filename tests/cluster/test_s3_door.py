"""The S3 door of Causeway's own: pods, tasks of the machine and those who look see the same objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.driving import PROGRAMS, STORE, Programs, stack_of
from tests.cluster.running import Cluster


def test_what_a_pod_writes_is_read_through_the_door(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Causeway as `script/up --kubeconfig` starts it where no store is named."""
    for name in STORE:
        monkeypatch.delenv(name, raising=False)
    env = {
        "CAUSEWAY_KUBECONFIG": cluster.environment["KUBECONFIG"],
        "CAUSEWAY_CLUSTER_IMAGE": cluster.environment["CLUSTER_TASK_IMAGE"],
    }
    with stack_of(cluster, tmp_path / "home", "auto", **env) as running:
        place = Programs(running, cluster, PROGRAMS / "harbour.py")
        assert place.value(place.launch("handed_on")) == "from a pod"
        kept = [path for path in (tmp_path / "home" / "s3" / "causeway").rglob("*") if path.is_file()]
        assert any(path.read_bytes() == b"from a pod" for path in kept)
