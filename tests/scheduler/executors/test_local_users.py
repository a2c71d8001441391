"""Attempts as users of their own, where this process may become them."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from artifacts.store import LocalStore
from artifacts.task_users import Identity, TaskUsers
from scheduler.attempts.resources import Resources
from scheduler.executors.local.births import is_shown
from scheduler.executors.local.executor import LocalExecutor
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.sent_log import SentLog
from scheduler.executors.local.warm import Program, Zygote
from scheduler.executors.local.zygote.child import leave_result
from scheduler.executors.local.zygotes import Zygotes
from scheduler.executors.store_keys import store_keys
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts, mount
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.conftest import PROJECT, Bench, archive, error

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tasks as other users")


def secrets_of(attempt_id: int, asked: Sequence[Request]) -> Mounts:
    return mount([(one, one.name, b"hush") for one in asked])


@pytest.fixture(scope="module")
def users_bench() -> Iterator[Bench]:
    home = Path(tempfile.mkdtemp(prefix="causeway-users-", dir="/var/tmp"))  # pytest's own folders let nobody through
    home.chmod(0o711)
    users = TaskUsers(57_000, 57_100, home / "task-users")
    bench = Bench(home, start=False)
    bench.store = LocalStore(f"{home}/objects", public_url="", max_upload_bytes=1 << 30, users=users)
    shutil.rmtree(home / "objects")
    bench.store.put(bench.distribution, archive(PROJECT))
    bench.events = queue.Queue()
    total = Resources(cpu=4, memory=1 << 40, gpu=0)
    bench.executor = LocalExecutor(home, bench.store, total=total, users=users, secrets_of=secrets_of)
    bench.executor.start(bench.events.put)
    yield bench
    bench.executor.stop()
    shutil.rmtree(home, ignore_errors=True)


def owner(path: Path) -> int:
    return path.lstat().st_uid


@pytest.mark.e2e
@root_only
def test_an_attempt_runs_as_the_user_of_its_project(users_bench: Bench) -> None:
    user = users_bench.executor.means.users.of("p", "d")  # type: ignore[union-attr]
    for reuse in (False, True, True):
        attempt = users_bench.task("add", inputs={"a": 1, "b": 2}, reuse=reuse)
        ended = users_bench.run(attempt)
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
        assert users_bench.outputs(ended).literals["o0"].scalar.primitive.integer == 3
        assert owner(users_bench.store.path(ended.outcome.output_uri)) == user.uid
        log = users_bench.store.path(attempt.log_uri)
        assert (owner(log), owner(log.parent)) == (user.uid, 0)


@pytest.mark.e2e
@root_only
def test_what_an_execution_offloads_is_written_by_that_user(users_bench: Bench, settings: Settings) -> None:
    settings.CAUSEWAY_STORE_URL = users_bench.store.root
    user = users_bench.executor.means.users.of("p", "d")  # type: ignore[union-attr]
    made = users_bench.task("numbers", inputs={})
    raw = made.spec.addresses.raw_output_prefix.removesuffix("/n0/0")
    ended = users_bench.run(made)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    folder = users_bench.store.path(users_bench.outputs(ended).literals["o0"].scalar.blob.uri)
    assert (owner(folder), list(folder.iterdir())) == (user.uid, [folder / "one"])
    assert raw in str(folder)
    assert (owner(users_bench.store.path(raw)), owner(users_bench.store.path(raw).parent)) == (user.uid, 0)


@pytest.mark.e2e
@root_only
def test_that_user_gets_the_secrets_of_the_attempt(users_bench: Bench) -> None:
    made = users_bench.task("secret", inputs={"group": "g", "key": "k"})
    attempt = replace(made, spec=replace(made.spec, secrets=(Request(Name("g", "k"), "FILE"),)))
    ended = users_bench.run(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    assert users_bench.outputs(ended).literals["o0"].scalar.primitive.string_value == "hush"


@pytest.mark.e2e
@root_only
def test_it_is_stopped_like_any_other(users_bench: Bench, tmp_path: Path) -> None:
    attempt = users_bench.task("sleeps", inputs={"seconds": 600}, timeout=1.0)
    ended = users_bench.run(attempt)
    assert error(ended).code == "TimeoutExpired"
    killed = users_bench.run(users_bench.task("kills_itself", inputs={"number": 9}))
    assert killed.outcome.phase == AttemptPhase.FAILED


@pytest.mark.e2e
@root_only
def test_that_the_disk_was_full_is_told(users_bench: Bench) -> None:
    ended = users_bench.run(users_bench.task("fills_the_disk"))
    assert error(ended).code == "DiskFull"


@root_only
def test_secrets_on_their_way_are_the_users_alone(tmp_path: Path) -> None:
    directory, user = RunDirectory(tmp_path / "run"), Identity(57_001, 57_002)
    for _ in range(2):  # an attempt whose zygote died is prepared again
        directory.prepare({"args": []}, None, secrets="{}", user=user)
        secret, spec = (directory.path / name for name in ("secrets.json", "spec.json"))
        assert (owner(secret), secret.stat().st_mode & 0o777) == (user.uid, 0o600)
        assert (owner(spec), spec.stat().st_gid, spec.stat().st_mode & 0o777) == (0, user.gid, 0o640)
        assert (owner(directory.path), directory.path.stat().st_mode & 0o7777) == (0, 0o1770)
        assert directory.uid() == user.uid


def test_a_result_overwrites_nothing_that_a_task_links_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "done.partial").symlink_to(outside)
    leave_result(str(run), 3)
    assert outside.read_text() == "mine"
    assert RunDirectory(run).result() == 3


def test_a_log_that_became_a_link_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("not yours")
    store = LocalStore(f"{tmp_path}/objects", public_url="", max_upload_bytes=1 << 20)
    log = SentLog(tmp_path / "log", f"{tmp_path}/objects/logs/one", store)
    log.path.write_text("hello")
    log.send_grown()
    assert store.get(log.uri) == b"hello"
    log.path.unlink()
    log.path.symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="symbolic"):
        log.send_whole()
    assert store.get(log.uri) == b"hello"


@pytest.mark.e2e
@root_only
def test_each_end_is_told_once(users_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A second word on an attempt would be taken for one on somebody else's, and the log would be full of it."""
    for name, inputs in (("add", {"a": 1, "b": 2}), ("kills_itself", {"number": 9}), ("add", {"a": 2, "b": 2})):
        users_bench.run(users_bench.task(name, inputs=inputs))
    time.sleep(0.5)  # the processes are collected after they said how they end
    users_bench.run(users_bench.task("add", inputs={"a": 3, "b": 2}))
    assert "says what cannot be" not in caplog.text


def test_a_project_s_zygote_is_not_believed_about_others(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        zygotes = Zygotes(lambda message: None, lambda runs: None, home=tmp_path)
        clone = Zygote(ours, Program("key", tmp_path, {}, Identity(57_001, 57_001)))
        mine, other = tmp_path / "mine", tmp_path / "other"
        mine.mkdir()
        other.mkdir()
        clone.runs.add(mine)
        own = {"is": "ended", "dir": str(mine), "status": 0}
        assert zygotes._credible(clone, own)
        assert not zygotes._credible(clone, {**own, "dir": str(other)})
        assert not zygotes._credible(clone, {"is": "started", "dir": str(mine), "pid": os.getpid(), "born": 1})
        assert zygotes._credible(Zygote(ours), {**own, "dir": str(other)})


@pytest.mark.e2e
@root_only
def test_the_first_task_of_all_finds_what_its_process_needs(users_bench: Bench) -> None:
    """As after a restart, for an attempt that waits: before this there is no process that tasks are forked from."""
    users_bench.executor.stop()
    means = users_bench.executor.means
    users_bench.executor = LocalExecutor(
        means.home, means.store, total=means.total, users=means.users, secrets_of=secrets_of, may_launch=lambda: False
    )
    users_bench.executor.start(users_bench.events.put)
    assert not (means.home / "tmp").exists()
    ended = users_bench.run(users_bench.task("add", inputs={"a": 1, "b": 2}))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message


def test_no_process_is_kept_for_tasks_before_there_may_be_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered, born = False, []
    zygotes = Zygotes(lambda message: None, lambda runs: None, home=tmp_path, needed=lambda: registered)

    def start() -> Zygote:
        born.append(1)
        zygotes.base = Zygote(ours)
        return zygotes.base

    monkeypatch.setattr(zygotes, "_start_base", start)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        zygotes.tick()
        assert not born
        registered = True
        zygotes.tick()
        registered = False
        zygotes.tick()
        assert len(born) == 1
        zygotes.base = None  # it died
        zygotes.tick()
        assert len(born) == 2


def test_tasks_have_nothing_secret_of_the_control_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "CAUSEWAY_SMTP_PASSWORD",
        "CAUSEWAY_SECRETS_KEY",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
    ):
        assert not is_shown(name), name
    for name in ("PATH", "AWS_REGION", "HTTPS_PROXY"):
        assert is_shown(name), name
    for name, value in (("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "key"), ("SESSION_TOKEN", "token")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    whole = {"FLYTE_AWS_ACCESS_KEY_ID": "id", "FLYTE_AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token"}
    assert store_keys() == whole
    monkeypatch.setenv("CAUSEWAY_TASK_S3_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("CAUSEWAY_TASK_S3_SECRET_ACCESS_KEY", "known")
    assert store_keys() == {"FLYTE_AWS_ACCESS_KEY_ID": "theirs", "FLYTE_AWS_SECRET_ACCESS_KEY": "known"}
