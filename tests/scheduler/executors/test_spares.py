"""Run directories used again: only those that nobody can tell from new ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.task_users import Identity
from scheduler.executors.local import spares as module
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.spares import Spares, is_as_made
from scheduler.executors.local.zygote.child import leave_result

CODE = ("data.txt", "workflows")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "workflows").mkdir(parents=True)
    (folder / "data.txt").write_text("1")
    return folder


def ran(directory: RunDirectory) -> None:
    """As a task that leaves nothing: what flytekit and the process itself make."""
    for folder in ("workspace", "engine_dir"):
        (directory.path / "tmp/local_flytekit" / folder).mkdir(parents=True, exist_ok=True)
    (directory.path / "started").write_text("1:2:3.0")
    (directory.path / "done").write_text('{"status": 0}')


def inodes(path: Path) -> dict[str, int]:
    return {name: os.lstat(path / name).st_ino for name in (".", "work", "tmp", "spec.json", "work/data.txt")}


def test_the_next_attempt_has_the_directory_of_the_one_before_under_its_own_name(runs: Path, code: Path) -> None:
    kept, first, second = Spares(runs), RunDirectory(runs / "1-a"), RunDirectory(runs / "2-b")
    kept.prepare(first, {"args": ["pyflyte-execute", "with", "many", "words"]}, code)
    made = inodes(first.path)
    ran(first)
    kept.clear(first, code, None)
    assert not first.path.exists()
    kept.prepare(second, {"args": ["x"]}, code, secrets='{"files": {}}')
    assert inodes(second.path) == made
    assert json.loads((second.path / "spec.json").read_text()) == {"args": ["x"]}
    assert (second.path / "secrets.json").read_text() == '{"files": {}}'
    assert second.process() is None and second.result() is None
    assert {one.name for one in runs.iterdir()} == {"2-b"}


def replace(path: Path, make: Callable[..., None], *args: str) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)
    make(path, *args)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file in work": lambda path: (path / "work/left.txt").write_text("1"),
    "a file in place of a link": lambda path: replace(path / "work/data.txt", Path.touch),
    "a link that leads elsewhere": lambda path: replace(path / "work/data.txt", Path.symlink_to, "/etc/passwd"),
    "a link less": lambda path: (path / "work/data.txt").unlink(),
    "a file in tmp": lambda path: (path / "tmp/left").write_text("1"),
    "a folder in tmp": lambda path: (path / "tmp/left").mkdir(),
    "a file in the workspace": lambda path: (path / "tmp/local_flytekit/workspace/left").touch(),
    "a link for the workspace": lambda path: replace(path / "tmp/local_flytekit/workspace", Path.symlink_to, "/"),
    "a mode": lambda path: (path / "work").chmod(0o500),
    "its own mode": lambda path: path.chmod(0o777),
    "a mode in tmp": lambda path: (path / "tmp/local_flytekit/workspace").chmod(0o500),
    "a sticky workspace": lambda path: (path / "tmp/local_flytekit/workspace").chmod(0o1777),
    "a file beside": lambda path: (path / "left").touch(),
    "secrets": lambda path: (path / "secrets").mkdir(),
    "no spec": lambda path: (path / "spec.json").unlink(),
    "no work": lambda path: shutil.rmtree(path / "work"),
    "a link for work": lambda path: replace(path / "work", Path.symlink_to, "/"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_that_a_task_left_otherwise_goes(runs: Path, code: Path, change: str) -> None:
    kept, first, second = Spares(runs), RunDirectory(runs / "1-a"), RunDirectory(runs / "2-b")
    kept.prepare(first, {}, code)
    ran(first)
    assert is_as_made(first.path, code, None)
    CHANGES[change](first.path)
    kept.clear(first, code, None)
    assert list(runs.iterdir()) == []
    kept.prepare(second, {}, code)
    assert is_as_made(second.path, code, None)


@pytest.mark.parametrize("instead", ["link", "pipe", "other name", "nothing"])
def test_what_the_next_is_told_goes_into_no_file_of_somebody_else(
    runs: Path, code: Path, tmp_path: Path, instead: str
) -> None:
    kept, first, second = Spares(runs), RunDirectory(runs / "1-a"), RunDirectory(runs / "2-b")
    kept.prepare(first, {}, code)
    theirs, spec = tmp_path / "theirs", first.path / "spec.json"
    theirs.write_text("theirs")
    spec.unlink()
    if instead == "link":
        spec.symlink_to(theirs)
    elif instead == "pipe":
        os.mkfifo(spec)
    elif instead == "other name":
        os.link(theirs, spec)
    kept.clear(first, code, None)
    kept.prepare(second, {"args": ["mine"]}, code)
    assert theirs.read_text() == "theirs"
    assert second.told() == {"args": ["mine"]}
    assert {one.name for one in runs.iterdir()} == {"2-b"}


def test_a_zygote_that_is_late_says_nothing_in_the_directory_of_the_next(
    runs: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It collects the process of the first attempt while that one's directory is put aside."""
    kept, first, second = Spares(runs), RunDirectory(runs / "1-a"), RunDirectory(runs / "2-b")
    kept.prepare(first, {}, code)
    ran(first)
    unlink = Path.unlink

    def late(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        leave_result(str(first.path), 0)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", late)
        kept.clear(first, code, None)
    kept.prepare(second, {}, code)
    assert second.result() is None


def test_a_directory_is_for_the_same_code_and_user(runs: Path, code: Path, tmp_path: Path) -> None:
    kept, first, other = Spares(runs), RunDirectory(runs / "1-a"), tmp_path / "other"
    other.mkdir()
    kept.prepare(first, {}, code)
    kept.clear(first, code, None)
    kept.prepare(RunDirectory(runs / "2-b"), {}, other)
    assert os.listdir(runs / "2-b/work") == []
    assert len(list(runs.glob("spare-*"))) == 1


def test_an_attempt_that_has_a_directory_keeps_it(runs: Path, code: Path) -> None:
    kept, first, second = Spares(runs), RunDirectory(runs / "1-a"), RunDirectory(runs / "2-b")
    kept.prepare(second, {"args": ["before"]}, code)
    kept.prepare(first, {}, code)
    kept.clear(first, code, None)
    made = inodes(second.path)
    kept.prepare(second, {"args": ["again"]}, code)
    assert {**inodes(second.path), "spec.json": 0} == {**made, "spec.json": 0}
    assert second.told() == {"args": ["again"]}


def test_not_more_are_kept_than_may_be_needed_soon(runs: Path, code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    kept, directories = Spares(runs), [RunDirectory(runs / f"{number}-a") for number in range(4)]
    for one in directories:
        kept.prepare(one, {}, code)
    for one in directories:
        kept.clear(one, code, None)
    assert len(list(runs.iterdir())) == 2
    kept.tick()
    assert len(list(runs.iterdir())) == 2
    monkeypatch.setattr(module, "KEPT_SECONDS", -1.0)
    kept.tick()
    assert list(runs.iterdir()) == []
    kept.prepare(directories[0], {}, code)
    assert is_as_made(directories[0].path, code, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand folders over")
def test_of_a_user_of_its_own(runs: Path, code: Path) -> None:
    user = Identity(57_001, 57_002)
    kept, first, second = Spares(runs), RunDirectory(runs / "1-a"), RunDirectory(runs / "2-b")
    kept.prepare(first, {"args": []}, code, user=user)
    kept.clear(first, code, user)
    kept.prepare(second, {"args": ["x"]}, code, secrets="{}", user=user)
    assert second.uid() == 57_001
    for name, owner, mode in (("spec.json", 0, 0o640), ("secrets.json", 57_001, 0o600), ("work", 57_001, 0o700)):
        about = os.lstat(second.path / name)
        assert (about.st_uid, about.st_mode & 0o7777) == (owner, mode), name
    os.chown(second.path / "work", 0, 0)
    (second.path / "secrets.json").unlink()
    assert not is_as_made(second.path, code, user)


LATE = """
import os, tempfile
from scheduler.executors.local.zygote import lean
lean.become_lean()
from flytekit.core.checkpointer import SyncCheckpoint
tempfile.tempdir = os.getcwd()
point = SyncCheckpoint("/nowhere")
assert os.listdir() == [], os.listdir()
folder = point._td.name
assert os.path.isdir(folder)
del point
assert os.listdir() == [], os.listdir()
from flytekit.bin import entrypoint
assert entrypoint.tempfile.mkdtemp(prefix="flyte") == os.getcwd()
other = entrypoint.tempfile.mkdtemp(prefix="other")
assert os.listdir() == [os.path.basename(other)]
"""


def test_flytekit_makes_folders_only_for_what_needs_them(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", LATE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


OLDER = """
from scheduler.executors.local.zygote import folders, server
def differs(): raise AttributeError("async_to_python_value")
folders.mean_folders = differs
server.change_flytekit()
from fsspec.implementations.local import LocalFileSystem
from flytekit.bin import entrypoint
assert LocalFileSystem.cp_file.__module__.endswith(".whole")
assert type(entrypoint.utils).__name__ == "Instead"
"""


def test_a_flytekit_that_is_otherwise_in_one_thing_is_changed_in_the_others() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", OLDER], env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"async_to_python_value" in done.stderr
