"""Maps, dynamics, children, gates and retries end as undisturbed, whatever of Causeway is killed meanwhile."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from causeway.client import CausewayError, Client

from tests.e2e.test_chaos import register
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e

EXECUTIONS = int(os.environ.get("CHAOS_EXECUTIONS", "3"))
SECONDS = float(os.environ.get("CHAOS_SECONDS", "15"))  # of killing
SEED = int(os.environ.get("CHAOS_SEED", "11"))
VICTIMS = ("web", "rpc", "worker-1", "worker-2", "executor", "zygote", "zygote")
ENDED = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}

PROGRAM = """
import os
import time
from datetime import timedelta
from pathlib import Path

from flytekit import LaunchPlan, Resources, approve, dynamic, map_task, sleep, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException

@task(retries=2)
def flaky(a: int) -> int:
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("not at the first attempt")
    return a + 1

@task(retries=1)
def square(a: int) -> int:
    time.sleep(0.05)
    return a * a

@task
def total(values: list[int]) -> int:
    return sum(values)

@task(requests=Resources(cpu="100m"))
def slow(folder: str, seed: int, seconds: int) -> int:
    with open(Path(folder) / f"{seed}", "a") as file:
        file.write(f"{os.getpid()} {os.environ['FLYTE_ATTEMPT_NUMBER']}\\n")
    time.sleep(seconds)
    return seed

@workflow
def child(a: int) -> int:
    return flaky(a=square(a=a))

child_plan = LaunchPlan.get_or_create(child, "chaos_child")

@dynamic
def fan(n: int) -> int:
    return total(values=[flaky(a=square(a=i)) for i in range(n)])

@task
def join(mapped: int, fanned: int, child: int, slept: int) -> str:
    return f"{mapped} {fanned} {child} {slept}"

@task
def never(a: int) -> int:
    if a >= 0:
        raise ValueError("it is as it is")
    return a

@workflow
def mixed(seed: int, items: list[int], folder: str, seconds: int) -> str:
    slept = slow(folder=folder, seed=seed, seconds=seconds)
    mapped = total(values=map_task(square)(a=items))
    approved = approve(mapped, "go-on", timeout=timedelta(hours=1))
    pause = sleep(timedelta(seconds=1))
    fanned = fan(n=4)
    pause >> fanned
    return join(mapped=approved, fanned=fanned, child=child_plan(a=seed), slept=slept)

@workflow
def failing(seed: int) -> int:
    return never(a=flaky(a=seed))
"""


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("mixed") / "home") as stack:
        yield stack


def zygotes(stack: RunningStack) -> list[psutil.Process]:
    """The processes that task processes are forked from; no task process itself."""
    executor = stack.pid("executor")
    if executor is None:
        return []
    found = []
    for base in psutil.Process(executor).children():
        if "zygote" in " ".join(base.cmdline()):
            found.append(base)
            found += [one for one in base.children() if one.cwd().startswith(f"{stack.home}/code/")]
    return found


def kill_one(stack: RunningStack, name: str, order: random.Random) -> bool:
    if name != "zygote":
        return bool(stack.kill(name))
    try:
        candidates = zygotes(stack)
        if candidates:
            order.choice(candidates).send_signal(signal.SIGKILL)
        return bool(candidates)
    except psutil.Error:  # it went by itself
        return False


def insist(act: Any, seconds: float = 60) -> Any:
    """As a patient client: again and again while the server is away."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except CausewayError as error:
            if error.status == 409 or time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def launch(client: Client, name: str, workflow: str, inputs: dict[str, Any]) -> None:
    body = {"project": "flytesnacks", "domain": "development", "name": name, "inputs": inputs}
    body["launch_plan"] = {"name": f"program.chaos.{workflow}", "version": "v1"}
    try:
        insist(lambda: client.connection.call("POST", "executions", json=body))
    except CausewayError as error:
        if error.status != 409:  # it exists: the answer to the first request was lost
            raise


def approve_all(client: Client, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        try:
            for gate in client.approvals():
                client.approve(gate["id"])
        except CausewayError:
            continue


def test_a_mixed_workload_ends_as_undisturbed(fragile: RunningStack, tmp_path: Path, open_folder: Path) -> None:
    register(fragile, tmp_path, PROGRAM)
    client, marks, stop = Client(fragile.http_url, fragile.admin_token), open_folder, threading.Event()
    order, killed = random.Random(SEED), Counter[str]()  # noqa: S311 - the same murders every time
    approver = threading.Thread(target=approve_all, args=(client, stop))
    approver.start()
    try:
        for seed in range(EXECUTIONS):
            given = {"seed": seed, "items": list(range(20)), "folder": str(marks), "seconds": int(SECONDS) - 3}
            launch(client, f"mixed{seed}", "mixed", given)
            launch(client, f"failing{seed}", "failing", {"seed": seed})
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(order.uniform(0.3, 1.0))
            name = order.choice(VICTIMS)
            killed[name] += kill_one(fragile, name, order)
        fragile.wait_ready(120)
        ended = _wait_for_ends(client, 120)
    finally:
        stop.set()
        approver.join()

    assert sum(killed.values()) >= SECONDS / 3, killed
    for seed in range(EXECUTIONS):
        assert ended[f"mixed{seed}"]["phase"] == "SUCCEEDED", ended[f"mixed{seed}"]
        outputs = client.connection.call("GET", f"executions/flytesnacks/development/mixed{seed}/outputs")
        assert outputs == {"o0": f"2470 18 {seed * seed + 1} {seed}"}
        failed = client.connection.call("GET", f"executions/flytesnacks/development/failing{seed}")
        assert (failed["phase"], failed["error"]["kind"]) == ("FAILED", "USER")
        assert "it is as it is" in failed["error"]["message"]
        starts = (marks / str(seed)).read_text().splitlines()
        assert len(starts) == 1 and starts[0].endswith(" 0"), starts  # adopted, never started again


def _wait_for_ends(client: Client, seconds: float) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + seconds
    while True:
        found = insist(lambda: list(client.connection.pages("executions", limit=500)))
        ended = {each["name"]: each for each in found if each["phase"] in ENDED}
        if len(ended) == len(found) or time.monotonic() > deadline:
            return ended
        time.sleep(0.5)
