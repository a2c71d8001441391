"""However a task goes wrong, its execution ends failed and says what, whose fault, and where to look."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from causeway.client import Client

from tests.e2e.test_chaos import register
from tests.stack import RunningStack

pytestmark = pytest.mark.e2e

PROGRAM = """
import os
import signal
import sys

from flytekit import Resources, dynamic, reference_launch_plan, task, workflow

@task
def leaves(a: int) -> int:
    sys.exit(3)
    return a

@task
def leaves_quietly(a: int) -> int:
    os._exit(0)
    return a

@task
def crashes(a: int) -> int:
    os.kill(os.getpid(), signal.SIGSEGV)
    return a

@task
def is_killed(a: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return a

@task(requests=Resources(mem="150Mi"))
def eats(a: int) -> int:
    hoard = bytearray(os.urandom(1 << 20) * 400)
    while len(hoard):
        pass
    return a

@task
def lacks(a: int) -> int:
    import not_installed_anywhere
    return a

@task
def fills(a: int) -> int:
    with open("/dev/full", "w") as file:
        file.write("x")
    return a

@reference_launch_plan(project="flytesnacks", domain="development", name="no.such.plan", version="v0")
def absent(a: int) -> int: ...

@dynamic
def calls_what_is_absent(a: int) -> int:
    return absent(a=a)
"""
USER, SYSTEM = "USER", "SYSTEM"
EXPECTED = {
    "leaves": (USER, "NonZeroExit", "exit code 3"),
    "leaves_quietly": (USER, "OutputsNotFound", "without writing its outputs"),
    "crashes": (USER, "Killed", "SIGSEGV"),
    "is_killed": (SYSTEM, "Interrupted", "[4/4]"),  # Flyte's three system retries
    "eats": (USER, "OOMKilled", "of the 150 MiB"),
    "lacks": (USER, "USER:", "not_installed_anywhere"),
    "fills": (SYSTEM, "DiskFull", "No space left"),
    "calls_what_is_absent": (USER, "DynamicWorkflowBuildFailed", "no.such.plan"),
}


def test_every_failure_is_told(stack: RunningStack, tmp_path: Path) -> None:
    register(stack, tmp_path, PROGRAM)
    client = Client(stack.http_url, stack.admin_token)
    for name in EXPECTED:
        body: dict[str, Any] = {"project": "flytesnacks", "domain": "development", "inputs": {"a": 1}}
        body |= {"name": f"err-{name.replace('_', '-')}", "task": {"name": f"program.chaos.{name}", "version": "v1"}}
        client.connection.call("POST", "executions", json=body)
    deadline = time.monotonic() + 180
    for name, (kind, code, words) in EXPECTED.items():
        path = f"executions/flytesnacks/development/err-{name.replace('_', '-')}"
        while (found := client.connection.call("GET", path))["phase"] not in {"FAILED", "SUCCEEDED", "ABORTED"}:
            assert time.monotonic() < deadline, f"{name} is still {found['phase']}"
            time.sleep(0.5)
        error = found["error"]
        assert (found["phase"], error["kind"]) == ("FAILED", kind), (name, error)
        assert name == "calls_what_is_absent" or error["uri"].endswith(".log"), (name, error)
        assert code in error["code"] and words in error["message"], (name, error)
