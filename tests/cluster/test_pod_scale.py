"""Many attempts against few places, on nodes that only pretend: fair, without a storm, and in flat memory."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from scheduler.attempts.observations import Accepted, Ended, Waiting
from scheduler.attempts.spec import Identity
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import Attempts
from tests.cluster.running import SCRIPT, Cluster, Namespace

MANY = int(os.environ.get("CLUSTER_SCALE_ATTEMPTS", "1000"))
QUOTA = 50


@pytest.fixture(scope="module")
def fake_nodes(cluster: Cluster) -> Iterator[None]:
    if not cluster.ours:
        pytest.skip("nodes that pretend are added to a cluster of ours only")
    subprocess.run([SCRIPT, "fake-nodes", "10"], check=True, timeout=300)
    yield
    subprocess.run([SCRIPT, "fake-nodes", "0"], check=True, timeout=300)


@pytest.fixture
def attempts(namespace: Namespace, fake_nodes: None, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(
        namespace,
        tmp_path,
        node_selector={"fake": "node"},
        tolerations=({"key": "fake", "operator": "Exists"},),
        pod_annotations={"fake/runs": "1s"},
    )
    yield made
    made.close()


def counted(attempts: Attempts) -> list[str]:
    """Names of what is done to pods, as it is done: each a call of the API."""
    calls: list[str] = []
    objects: Any = attempts.executor.objects
    for name in ("create_pod", "pod", "delete_pod", "release", "events"):
        original = getattr(objects, name)

        def counting(*given: Any, name: str = name, original: Any = original, **named: Any) -> Any:
            calls.append(name)
            return original(*given, **named)

        setattr(objects, name, counting)
    return calls


def _allow(attempts: Attempts, pods: int) -> None:
    """So many pods at a time in the namespace."""
    hard = {"hard": {"pods": str(pods)}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": hard}
    attempts.namespace.kubectl("create", "-f", "-", stdin=json.dumps(quota))
    attempts.until(lambda: attempts.namespace.get("resourcequotas", "few").get("status", {}).get("hard"))


def test_a_thousand_against_a_quota_of_fifty(attempts: Attempts) -> None:
    _allow(attempts, QUOTA)
    calls, before = counted(attempts), psutil.Process().memory_info().rss
    given = [attempts.submit("true", with_outputs=True) for _ in range(MANY)]
    attempts.until(lambda: sum(isinstance(seen, Ended) for seen in list(attempts.seen)) >= MANY, 600)
    ends = [seen for seen in attempts.seen if isinstance(seen, Ended)]
    assert {end.attempt_id for end in ends} == {one.attempt_id for one in given}
    assert all(end.outcome.phase == AttemptPhase.SUCCEEDED for end in ends)
    assert any(isinstance(seen, Waiting) and seen.code == "QuotaExceeded" for seen in attempts.seen)
    assert calls.count("create_pod") < 2.5 * MANY
    assert len(calls) < 6 * MANY
    assert psutil.Process().memory_info().rss - before < 150e6


def test_two_executions_share_a_quota_in_turns(attempts: Attempts) -> None:
    """The second one begins although the first, which has many more waiting, was there before."""
    _allow(attempts, 10)
    for name, count in (("first", 90), ("second", 30)):
        for number in range(count):
            identity = Identity(f"{name}-n0-{number}", "p", "d", name, "n0", number, task="t")
            attempts.submit("true", with_outputs=True, identity=identity)
    attempts.until(lambda: sum(isinstance(seen, Ended) for seen in list(attempts.seen)) >= 120, 300)
    second = {seen.attempt_id for seen in attempts.seen if isinstance(seen, Accepted) and "/second-" in seen.handle}
    assert len(second) == 30
    order = [seen.attempt_id in second for seen in attempts.seen if isinstance(seen, Ended)]
    assert sum(order[:80]) >= 25, order  # by turns it is through after about sixty; behind the first, after 90
