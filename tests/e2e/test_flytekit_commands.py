"""`pyflyte`, unmodified, against the whole set-up."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from causeway import Client

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser

pytestmark = pytest.mark.e2e

SCRIPT = '''
"""A script of one file."""
import typing
from dataclasses import dataclass
from enum import Enum
from flytekit import ImageSpec, task, workflow
from flytekit.types.file import FlyteFile

class Size(Enum):
    S = "small"
    L = "large"

@dataclass
class Config:
    lr: float = 0.1
    layers: typing.List[int] = None

image = "ghcr.io/acme/image:1"

@task(container_image=image)
def train(
    config: Config, size: Size, file: FlyteFile, epochs: int, names: typing.List[str], opts: dict, fast: bool
) -> str:
    with open(file) as handle:
        text = handle.read()
    return f"{config.lr} {config.layers} {size.value} {text} {epochs} {names} {opts} {fast}"

@workflow
def main(
    config: Config, size: Size, file: FlyteFile, names: typing.List[str], opts: dict, epochs: int = 3, fast: bool = True
) -> str:
    return train(config=config, size=size, file=file, epochs=epochs, names=names, opts=opts, fast=fast)

if __name__ == "__main__":
    raise SystemExit("top-level code ran")
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("script") / "own"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "data.txt").write_text("ünïcode")
    return folder


def execution_named_in(output: str) -> str:
    match = re.search(rf"(?:executions/|{PROJECT}:{DOMAIN}:)([a-z0-9-]+)", output.replace("\n", ""))
    assert match, output
    return match[1]


def test_it_runs_a_script_with_inputs_from_the_command_line(user: FlytekitUser, script: Path) -> None:
    output = user.pyflyte(
        "run", "--remote", "-p", PROJECT, "-d", DOMAIN, "--wait", "--poll-interval", "1", "train.py", "main",
        "--config", '{"lr": 0.5, "layers": [1, 2]}', "--size", "large", "--file", "data.txt",
        "--names", '["a", "b"]', "--opts", '{"k": [1]}', "--epochs", "4",
        cwd=script,
    )  # fmt: skip
    run = user.remote.fetch_execution(name=execution_named_in(output))
    user.remote.sync_execution(run)
    assert run.outputs == {"o0": "0.5 [1, 2] large ünïcode 4 ['a', 'b'] {'k': [1]} True"}


def test_it_runs_a_task_of_a_script_and_passes_variables(user: FlytekitUser) -> None:
    output = user.pyflyte(
        "run", "--remote", "-p", PROJECT, "-d", DOMAIN, "--name", f"greet-{int(time.time())}", "--env", "GREETING=hi",
        "--tag", "t", "--copy", "all", "isles/flows.py", "greet",
    )  # fmt: skip
    run = user.wait(user.remote.fetch_execution(name=execution_named_in(output)))
    assert run.outputs == {"o0": "hi"}


MAPPED = """
import typing
from typing import Annotated
from flytekit import Artifact, map_task, task, workflow
from flytekit.core.artifact import Inputs

Shard = Artifact(name="run-shard", partition_keys=["region"])

@task
def shard(region: str) -> Annotated[str, Shard(region=Inputs.region)]:
    return region.lower()

@workflow
def main(regions: typing.List[str]) -> typing.List[str]:
    return map_task(shard)(region=regions)
"""


def test_the_items_of_a_map_in_a_script_publish_without_being_registered(user: FlytekitUser, tmp_path: Path) -> None:
    folder = tmp_path / "mapped"
    folder.mkdir()
    (folder / "shards.py").write_text(MAPPED)
    output = user.pyflyte(
        "run", "--remote", "-p", PROJECT, "-d", DOMAIN, "--wait", "--poll-interval", "1", "shards.py", "main",
        "--regions", '["SEA", "LAX"]',
        cwd=folder,
    )  # fmt: skip
    run = user.remote.fetch_execution(name=execution_named_in(output))
    user.remote.sync_execution(run)
    assert run.outputs == {"o0": ["sea", "lax"]}
    client = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN)
    published = {version.partitions["region"]: version.value for version in client.versions("run-shard")}
    assert published == {"SEA": "sea", "LAX": "lax"}


def test_it_runs_what_is_registered_by_name(user: FlytekitUser) -> None:
    for kind, name, arguments, expected in (
        ("remote-task", "isles.flows.add", ("--a", "1", "--b", "2"), 3),
        ("remote-workflow", "isles.flows.middle", ("--x", "2"), 8),
        ("remote-launchplan", "isles.default", (), 35),
    ):
        output = user.pyflyte("run", "-p", PROJECT, "-d", DOMAIN, kind, f"{name}:v1", *arguments)
        run = user.wait(user.remote.fetch_execution(name=execution_named_in(output)))
        assert run.outputs == {"o0": expected}


def test_it_prints_the_error_of_a_failed_run(user: FlytekitUser) -> None:
    output = user.pyflyte(
        "run", "--remote", "-p", PROJECT, "-d", DOMAIN, "--wait", "--poll-interval", "1",
        "--copy", "all", "isles/flows.py", "error_wf",
        succeeds=False,
    )  # fmt: skip
    assert "KeyError: 'missing'" in output


def test_it_lists_and_switches_launch_plans(user: FlytekitUser) -> None:
    user.pyflyte("launchplan", "-p", PROJECT, "-d", DOMAIN, "--activate", "isles.cron", "v1")
    assert "isles.cron" in user.pyflyte("get", "launchplan", "-p", PROJECT, "-d", DOMAIN, "--active-only")
    user.pyflyte("launchplan", "-p", PROJECT, "-d", DOMAIN, "--deactivate", "isles.cron", "v1")
    assert "isles.cron" not in user.pyflyte("get", "launchplan", "-p", PROJECT, "-d", DOMAIN, "--active-only")
    assert "isles.cron" in user.pyflyte("get", "launchplan", "-p", PROJECT, "-d", DOMAIN)


def test_it_fetches_outputs(user: FlytekitUser, tmp_path: Path) -> None:
    run = user.wait(user.launch("isles.values.file_wf"))
    address = f"flyte://v1/{PROJECT}/{DOMAIN}/{run.id.name}/n0/o"
    user.pyflyte("fetch", "--recursive", address, str(tmp_path / "out"))
    assert [path.read_text() for path in (tmp_path / "out").rglob("out.txt")] == ["conténu"]
    assert "conténu" in user.pyflyte("fetch", f"flyte://v1/{PROJECT}/{DOMAIN}/{run.id.name}/n1/o")


def test_it_recovers_and_relaunches(user: FlytekitUser, open_folder: Path) -> None:
    path = open_folder / "there"
    run = user.launch("isles.flows.recover_wf", {"path": str(path)})
    user.error(run)
    user.remote.sync_execution(run, sync_nodes=True)
    stamp = run.node_executions["n0"].outputs["o0"]
    path.write_text("now")
    again = {
        command: execution_named_in(
            user.pyflyte("execution", "-p", PROJECT, "-d", DOMAIN, "--execution-id", run.id.name, command)
        )
        for command in ("recover", "relaunch")
    }
    recovered = user.wait(user.remote.fetch_execution(name=again["recover"]))
    assert recovered.outputs == {"o0": stamp, "o1": stamp}
    relaunched = user.wait(user.remote.fetch_execution(name=again["relaunch"]))
    assert relaunched.outputs["o0"] > stamp


def test_it_backfills(user: FlytekitUser) -> None:
    output = user.pyflyte(
        "backfill", "-p", PROJECT, "-d", DOMAIN, "--from-date", "2026-02-01", "--backfill-window", "2 days",
        "--parallel", "--version", "command", "isles.cron", "v1",
    )  # fmt: skip
    run = user.wait(user.remote.fetch_execution(name=execution_named_in(output)))
    assert run.error is None


def test_it_refuses_other_code_under_the_same_version(user: FlytekitUser) -> None:
    assert "Successfully registered" in user.register("isles", "v1")  # the same again is no change
    with user.changed("isles/pack/consts.py", "FACTOR = 8\n"):
        output = user.pyflyte("register", "-p", PROJECT, "-d", DOMAIN, "--version", "v1", "isles", succeeds=False)
    assert "different structure already exists" in output.replace("\n", " ")


def test_it_tells_about_the_installation(user: FlytekitUser) -> None:
    assert "Flytekit Version" in user.pyflyte("info")
