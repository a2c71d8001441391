"""Tasks are strangers: what their code can reach of the control plane, and of other projects, is nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flytekit.remote import FlyteRemote

from console.supervisor.processes import ROOT
from tests.stack import RunningStack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tasks as other users"),
]
PROGRAM = Path(__file__).parent / "programs" / "hostile" / "hostile.py"


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_code_of_a_task_reaches_nothing_of_the_control_plane(stack: RunningStack, tmp_path: Path) -> None:
    raw = stack.home / "objects" / "raw"
    for project in ("another", "lender"):
        (raw / project / "development").mkdir(parents=True, exist_ok=True)
        (raw / project / "development" / "secret").write_text(f"of {project}")
    named = str(raw / "lender" / "development" / "secret")  # in an input, of a launcher who may read it
    stack.manage("bootstrap", "--no-static")  # as at every start: objects get their owners
    shutil.copy(PROGRAM, tmp_path)
    remote = FlyteRemote(stack.flyte_config(), default_project="flytesnacks", default_domain="development")
    command = [str(Path(sys.executable).with_name("pyflyte")), "--config", str(stack.flyte_config_file), "run"]
    places = [
        "--home",
        str(stack.home),
        "--source",
        str(ROOT),
        "--venv",
        sys.prefix,
        "--others",
        "another",
        "--named",
        named,
    ]
    pids = str([pid for name, pid in sorted(stack.pids().items()) if name != "postgres"])
    command += ["--remote", "--name", "hostile", "hostile.py", "wf", *places, "--pids", pids]
    done = subprocess.run(command, cwd=tmp_path, env=stack.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    execution = remote.fetch_execution(name="hostile")
    execution = remote.wait(execution, poll_interval=0.5)
    assert execution.error is None, execution.error
    report = execution.outputs.get("o0", as_type=list[str])
    assert len(report) > 20
    assert "what an input names: of lender" in report
    assert [line for line in report if ": got" in line and "variable" not in line] == []
    assert [line for line in report if line.startswith("variable")] == []
    uid = int(report[-1].split()[1])
    assert 50_000 < uid <= 59_999
    assert not (ROOT / "planted").exists()


def test_nobody_else_may_look_into_the_data_directory(stack: RunningStack) -> None:
    assert _mode(stack.home) == 0o710
    for name in ("logs", "processes", "static"):
        assert _mode(stack.home / name) == 0o700, name
    for entry in stack.home.iterdir():
        assert _mode(entry) & 0o007 == 0, entry
    for file in (stack.home / "logs").iterdir():
        assert _mode(file) == 0o600, file
    script = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.listdir(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, str(stack.home / "objects")], capture_output=True, text=True)
    assert "PermissionError" in done.stderr
