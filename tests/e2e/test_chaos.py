"""Every published version fires each trigger that matches it exactly once, whatever is killed meanwhile.

`CAUSEWAY_CHAOS_VERSIONS=1000` publishes as many as the requirement says; CI publishes fewer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from causeway.client import CausewayError, Client

from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e

VERSIONS = int(os.environ.get("CAUSEWAY_CHAOS_VERSIONS", "120"))
CLIENTS = 20
PATIENCE = 180 + VERSIONS // 2  # seconds
KILLS = 12  # at least; the killing goes on while the last executions run
VICTIMS = ("web", "rpc", "worker-1", "worker-2", "slow", "executor", "valkey", "postgres")

PROGRAM = """
from causeway import OnArtifact
from flytekit import Artifact, LaunchPlan, task, workflow

Dataset = Artifact(name="chaos-dataset", partition_keys=["number", "parity"])

@task(retries=3)
def train(dataset: int) -> int:
    return dataset

@workflow
def training(dataset: int) -> int:
    return train(dataset=dataset)

INPUTS = {"dataset": Dataset}
on_dataset = LaunchPlan.create("chaos_training", training, trigger=OnArtifact(Dataset, inputs=INPUTS))
on_even = LaunchPlan.create(
    "chaos_even", training, trigger=OnArtifact(Dataset.query(parity="even"), inputs=INPUTS, max_concurrent=8)
)
"""


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A set-up of its own: nobody else's tests shall suffer."""
    with running_stack(tmp_path_factory.mktemp("chaos") / "home") as stack:
        yield stack


def register(stack: RunningStack, above: Path, program: str = PROGRAM) -> None:
    folder = above / "program"  # pyflyte packs the folder above the one it is given
    folder.mkdir()
    (folder / "chaos.py").write_text(textwrap.dedent(program))
    command = [str(Path(sys.executable).with_name("pyflyte")), "-c", str(stack.flyte_config_file), "register"]
    command += ["--version", "v1", "--activate-launchplans", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def publish(client: Client, number: int, deadline: float) -> None:
    """As a CI job would: try again until it is accepted. The version's name makes trying again harmless."""
    while True:
        try:
            parity = "odd" if number % 2 else "even"
            partitions = {"number": str(number), "parity": parity}
            client.create("chaos-dataset", number, version=f"v{number}", partitions=partitions)
        except CausewayError as error:
            if 400 <= error.status < 500 or time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


def await_recovery(stack: RunningStack, stop: threading.Event, seconds: float = 20.0) -> None:
    """Until the console answers again: on a busy machine nothing would ever come up between two kills."""
    deadline = time.monotonic() + seconds
    while not stack.answers("/healthz") and time.monotonic() < deadline and not stop.wait(0.2):
        pass


def kill_at_random(stack: RunningStack, stop: threading.Event, killed: Counter[str]) -> None:
    order = random.Random(7)  # noqa: S311 - the same murders every time
    emptied = False
    while not stop.wait(order.uniform(0.5, 2.0)):
        await_recovery(stack, stop)
        name = order.choice(VICTIMS)
        if stack.kill(name):
            killed[name] += 1
        if not emptied and sum(killed.values()) > 8:
            try:
                redis.Redis(unix_socket_path=str(stack.home / "valkey.sock")).flushall()
                emptied = True
            except redis.RedisError:
                continue


def wait_for_ends(client: Client, plan: str, count: int, seconds: float) -> list[dict[str, Any]]:
    """The executions of a triggered plan, once there are enough of them and all have ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = list(client.connection.pages("executions", launch_plan=plan, limit=500))
        except CausewayError as error:  # the last victim may only just have died
            assert time.monotonic() < deadline, error
            time.sleep(1)
            continue
        ended = [each for each in found if each["phase"] in {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}]
        if len(ended) == len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(1)


def test_it_launches_exactly_once_for_each_version_while_processes_are_killed(
    fragile: RunningStack, tmp_path: Path
) -> None:
    register(fragile, tmp_path)
    client = Client(fragile.http_url, fragile.admin_token)
    stop, killed = threading.Event(), Counter[str]()
    killer = threading.Thread(target=kill_at_random, args=(fragile, stop, killed))
    killer.start()
    try:
        deadline = time.monotonic() + PATIENCE
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda number: publish(client, number, deadline), range(VERSIONS)))
        while sum(killed.values()) < KILLS and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        stop.set()
        killer.join()
    fragile.wait_ready(120)

    assert sum(killed.values()) >= KILLS, killed
    check_plan(client, "chaos_training", range(VERSIONS), Counter(fired=VERSIONS))
    even = range(0, VERSIONS, 2)
    check_plan(client, "chaos_even", even, Counter(fired=len(even), filtered=VERSIONS - len(even)))


def check_plan(client: Client, plan: str, numbers: range, outcomes: Counter[str]) -> None:
    """One successful execution for each number, and the ledger says the same."""
    executions = wait_for_ends(client, plan, len(numbers), PATIENCE)
    (trigger,) = client.connection.pages("triggers", launch_plan=plan)
    firings = list(client.connection.pages(f"triggers/{trigger['id']}/firings", limit=500))
    assert Counter(each["phase"] for each in executions) == {"SUCCEEDED": len(numbers)}
    assert Counter(each["outcome"] for each in firings) == outcomes
    launched = [each for each in firings if each["execution"] is not None]
    assert len({each["execution"] for each in launched}) == len(launched) == len(numbers)
    assert Counter(int(each["version"].removeprefix("v")) for each in launched) == Counter(numbers)
    trained = Counter(
        client.connection.call("GET", f"executions/flytesnacks/development/{each['name']}/outputs")["o0"]
        for each in executions
    )
    assert trained == Counter(numbers)
