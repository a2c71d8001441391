"""What may go wrong around pods: nothing is lost and nothing runs twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.attempts.observations import Ended, Running, Waiting
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import Attempts
from tests.cluster.running import Cluster, Namespace

LINES = 150_000


@pytest.fixture
def attempts(namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(namespace, tmp_path)
    yield made
    made.close()


def test_a_new_process_finds_what_runs_and_what_has_ended(attempts: Attempts) -> None:
    short = attempts.submit("sleep 2; echo over", with_outputs=True)
    long = attempts.submit("sleep 12; echo over", with_outputs=True)
    attempts.running(short)
    attempts.running(long)
    attempts.stop()
    attempts.until(lambda: attempts.namespace.phase(attempts.pod(short)) == "Succeeded")
    attempts.seen.clear()
    attempts.begin()
    for given in (short, long):
        attempts.executor.adopt(replace(given, handle=f"{attempts.namespace.name}/{attempts.pod(given)}"))
    attempts.executor.settle()
    for given in (short, long):
        assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
        assert attempts.log(given) == "over\n"


def test_an_api_server_that_is_killed_loses_and_doubles_nothing(attempts: Attempts, own_cluster: Cluster) -> None:
    before = attempts.submit("sleep 5", with_outputs=True)
    attempts.running(before)
    own_cluster.part("stop", "api", "--kill")
    meanwhile = attempts.submit("echo late", with_outputs=True)
    attempts.until(lambda: attempts.of(Waiting, meanwhile))
    own_cluster.part("start", "api")
    for given in (before, meanwhile):
        assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
        assert len(attempts.of(Ended, given)) == 1
        assert len(attempts.of(Running, given)) <= 1


def test_many_against_a_quota_all_run(attempts: Attempts) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}
    attempts.namespace.kubectl("create", "-f", "-", stdin=json.dumps(quota))
    attempts.until(lambda: attempts.namespace.get("resourcequotas", "few").get("status", {}).get("hard"))
    given = [attempts.submit("true", with_outputs=True) for _ in range(12)]
    attempts.until(lambda: any(isinstance(seen, Waiting) and seen.code == "QuotaExceeded" for seen in attempts.seen))
    for one in given:
        assert attempts.outcome(one, 180).phase == AttemptPhase.SUCCEEDED


def test_a_log_that_was_rotated_meanwhile_is_whole(attempts: Attempts) -> None:
    program = f"import sys\nfor n in range({LINES}): print(n, 'x' * 150)\nprint('the last words')\nsys.exit(1)"
    given = attempts.submit("", argv=("python3", "-c", program), entry=2)
    attempts.outcome(given)
    lines = attempts.log(given).splitlines()
    assert lines[-1] == "the last words"
    numbers = [line.partition(" ")[0] for line in lines[:-1]]
    missing = LINES - len(set(numbers))
    assert len(numbers) == len(set(numbers)), "no line is there twice"
    assert missing == 0 or any("lines may be missing here" in line for line in lines), missing


def test_a_pod_that_no_attempt_needs_is_removed(attempts: Attempts) -> None:
    given = attempts.submit("sleep 1000")
    attempts.running(given)
    attempts.stop()
    attempts.begin()
    attempts.executor.strays.patience = 1.0
    attempts.executor.settle()
    attempts.gone(given)
