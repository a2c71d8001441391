"""A backup of a running Causeway, restored at another path: what was made before is read, used and made again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from causeway.client import Client
from flytekit.remote import FlyteRemote

from console.supervisor.processes import ROOT
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e

PROGRAM = """
from dataclasses import dataclass
from uuid import uuid4
from flytekit import task, workflow
from flytekit.types.file import FlyteFile


@dataclass
class Report:
    lines: int
    text: FlyteFile


@task(cache=True, cache_version="1")
def write(words: str) -> Report:
    path = "report.txt"
    with open(path, "w") as file:
        file.write(words + uuid4().hex)
    return Report(lines=len(words.splitlines()), text=FlyteFile(path))


@task
def read(report: Report) -> str:
    with open(report.text) as file:
        return f"{report.lines}: {file.read()}"


@workflow
def reports(words: str) -> tuple[Report, str]:
    report = write(words=words)
    return report, read(report=report)
"""


def script(name: str, *arguments: str, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [str(ROOT / "script" / name), *arguments], env=env, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr


def register(stack: RunningStack, program: Path) -> None:
    env = {**os.environ, "FLYTECTL_CONFIG": str(stack.flyte_config_file)}
    command = [str(Path(sys.executable).with_name("pyflyte")), "register", "-p", "flytesnacks", "-d", "development"]
    command += ["--version", "v1", "."]
    done = subprocess.run(command, cwd=program, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr


def run(stack: RunningStack, words: str) -> str:
    """What `reports` read in what it wrote."""
    remote = FlyteRemote(stack.flyte_config(), "flytesnacks", "development")
    workflow = remote.fetch_workflow(name="program.reported.reports", version="v1")
    begun = remote.execute(workflow, inputs={"words": words})
    done = remote.wait(begun, poll_interval=timedelta(milliseconds=300))
    return str(done.outputs.get("o1", str))


def test_it_goes_on_at_another_path(tmp_path: Path) -> None:
    program = tmp_path / "code" / "program"  # pyflyte packs what lies above it
    program.mkdir(parents=True)
    (program / "reported.py").write_text(PROGRAM)
    (tmp_path / "model.bin").write_bytes(os.urandom(5000))
    first, second, kept = tmp_path / "first", tmp_path / "a longer name than that", tmp_path / "kept"

    with running_stack(first) as stack:
        register(stack, program)
        read = run(stack, "a")
        Client(stack.http_url, stack.admin_token).create("model", file=tmp_path / "model.bin")
        script("backup", "--home", str(first), str(kept), env=stack.env)
        token = stack.admin_token
    first.rename(tmp_path / "gone")  # nothing is found there by accident

    unset = ("DATABASE_URL", "REDIS_URL")
    env = {key: value for key, value in os.environ.items() if not key.startswith("CAUSEWAY_") and key not in unset}
    script("restore", "--home", str(second), str(kept), env=env)
    with running_stack(second) as stack:
        assert stack.admin_token == token
        Client(stack.http_url, token).get("model").download(tmp_path / "fetched")
        (fetched,) = (tmp_path / "fetched").iterdir()
        assert fetched.read_bytes() == (tmp_path / "model.bin").read_bytes()
        assert run(stack, "a") == read, "what was cached names a file inside a dataclass, at the new place"
        assert run(stack, "b").startswith("1: b"), "the code that was uploaded is found"
        register(stack, program)


def test_it_refuses_what_is_no_backup(tmp_path: Path) -> None:
    for verb, home, reason in (
        ("restore", tmp_path / "new", "no whole backup"),
        ("backup", tmp_path / "new", "no Causeway data directory"),
    ):
        command = [str(ROOT / "script" / verb), "--home", str(home), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert reason in done.stderr
        assert not home.exists()
