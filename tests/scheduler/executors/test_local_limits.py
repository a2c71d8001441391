"""What a task may not exceed where it does not say otherwise, and what its machine may be short of."""

from __future__ import annotations

import errno
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError  # type: ignore[import-untyped]
from django.db import InterfaceError, OperationalError
from flyteidl.core import execution_pb2

from artifacts.store import open_store
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome
from scheduler.attempts.resources import Resources
from scheduler.executors.local import gpus, memory, shortage, steps
from scheduler.executors.local.attempt_log import AttemptLog
from scheduler.executors.local.limits import Limits
from scheduler.executors.local.line import Line
from scheduler.executors.local.log_limit import MARK, LogLimit
from scheduler.executors.local.outcome import Exit, judge
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.shortage import Disks
from scheduler.executors.local.untold import Untold
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, crash, error

processes = pytest.mark.e2e  # real ones


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.executor.means.limits = Limits(task_seconds=0.5, log_bytes=20_000, deck_bytes=1024)
    yield made
    made.executor.stop()


@processes
def test_a_task_without_a_timeout_has_the_default_one(limited: Bench) -> None:
    ended = limited.run(limited.task("sleeps", inputs={"seconds": 300}))
    assert (error(ended).code, error(ended).kind, ended.outcome.retryable) == ("TimeoutExpired", USER, True)
    assert "0.5 s" in error(ended).message and "CAUSEWAY_TASK_TIMEOUT" in error(ended).message


@processes
def test_a_timeout_of_its_own_counts_before_the_default_one(limited: Bench) -> None:
    ended = limited.run(limited.task("sleeps", inputs={"seconds": 2}, timeout=60))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED


@processes
def test_a_long_log_keeps_its_beginning_and_end_and_the_task_goes_on(limited: Bench) -> None:
    count = "i=0; while test $i -lt 20000; do i=$((i+1)); echo line $i; done"
    attempt = limited.task("", args=["sh", "-c", f"{count}; sleep 2; echo after; exit 3"], timeout=60)
    assert "exit code 3" in error(limited.run(attempt)).message
    log = limited.log(attempt)
    assert len(log) < 20_000 and log.startswith("line 1\nline 2\n")
    assert "line 20000\nafter\n" in log
    assert "Causeway left out" in log.splitlines()[-1] and "CAUSEWAY_MAX_LOG_BYTES" in log.splitlines()[-1]


@processes
def test_a_large_deck_is_replaced_by_a_word_about_it(limited: Bench) -> None:
    ended = limited.run(limited.task("decked", timeout=60))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED
    deck = limited.store.get(ended.outcome.deck_uri).decode()
    assert "was not kept" in deck and "CAUSEWAY_MAX_DECK_BYTES" in deck and len(deck) < 1024


@pytest.mark.parametrize(
    "limits",
    [Limits(task_seconds=-1), Limits(task_seconds=math.inf), Limits(task_seconds=math.nan), Limits(log_bytes=10)],
)
def test_a_limit_that_is_none_is_refused_by_name(limits: Limits) -> None:
    with pytest.raises(ValueError, match=r"CAUSEWAY_(TASK_TIMEOUT|MAX_LOG_BYTES)"):
        limits.check()


def test_no_limits_are_right() -> None:
    Limits().check()


def test_what_a_log_says_is_missing_is_what_is_missing(tmp_path: Path) -> None:
    """Also when another executor goes on with it."""
    path, limit = tmp_path / "log", 8000
    written = b""
    with open(path, "ab", buffering=0) as process:  # as the task has it open
        for number in range(3000):
            line = f"line {number}\n".encode()
            process.write(line)
            written += line
            if number % 500 == 0:
                LogLimit(path, limit).cut()
    last = LogLimit(path, limit)
    last.close()
    last.close()  # says it once
    kept = path.read_bytes()
    assert len(kept) <= limit + 200
    mark = MARK.search(kept)
    assert mark is not None
    beginning, rest = kept[: mark.start()], kept[mark.end() :]
    end, _, closing = rest.partition(b"\n[Causeway")
    assert written.startswith(beginning) and written.endswith(end) and end.startswith(b"line ")
    assert int(mark[1]) == len(written) - len(beginning) - len(end)
    assert str(int(mark[1])).encode() in closing and b"[Causeway" not in closing


def test_a_log_within_its_limit_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 8000)
    log = LogLimit(path, 8000)
    assert not log.cut()
    log.close()
    assert path.read_bytes() == b"x" * 8000
    LogLimit(tmp_path / "none", 8000).close()


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_link_in_the_place_of_a_log_is_not_followed(
    tmp_path: Path, link: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    others, path = tmp_path / "others", tmp_path / "log"
    others.write_bytes(b"x" * 50_000)
    link(others, path)
    for act in (LogLimit(path, 8000).cut, LogLimit(path, 8000).close, AttemptLog(path, LogLimit(path, 8000)).cut):
        steps.quietly(act)
    assert others.read_bytes() == b"x" * 50_000 and AttemptLog(path).tail() == ""


# --- shortages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Bench.bare(1, "one"), RunDirectory(tmp_path / "1"))


@pytest.fixture
def broken_off() -> list[Outcome]:
    return []


@pytest.fixture
def guarded(broken_off: list[Outcome]) -> steps.Steps:
    class Here:
        """In this thread."""

        def submit(self, act: Callable[..., None], *args: object) -> None:
            act(*args)

    here: Any = Here()
    return steps.Steps(here, Line(here), lambda run, result: broken_off.append(result))


def failing(times: int, raised: Exception) -> Callable[[Run], None]:
    left = [raised] * times

    def step(run: Run) -> None:
        if left:
            raise left.pop()

    return step


UNAVAILABLE = ClientError({"ResponseMetadata": {"HTTPStatusCode": 503}}, "GetObject")
PASSING = [
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENOSPC, "No space left on device"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    RuntimeError("can't start new thread"),
    EndpointConnectionError(endpoint_url="http://store"),
    UNAVAILABLE,
    OperationalError("the connection was refused"),
    InterfaceError("the connection is closed"),
]


@pytest.mark.parametrize("raised", PASSING, ids=repr)
def test_a_step_waits_for_what_there_is_too_little_of(
    guarded: steps.Steps, run: Run, broken_off: list[Outcome], raised: Exception
) -> None:
    guarded.do(run, failing(2, raised))
    for _ in range(2):
        assert len(run.postponed) == 1
        guarded.try_again(run)
    assert run.postponed == [] and run.short_since is None and broken_off == []


@pytest.mark.parametrize(
    ("raised", "code"),
    [(PASSING[0], "StartFailed"), (PASSING[1], "DiskFull"), (UNAVAILABLE, "StoreUnavailable")],
    ids=repr,
)
def test_it_does_not_wait_for_ever(
    guarded: steps.Steps,
    run: Run,
    broken_off: list[Outcome],
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    code: str,
) -> None:
    monkeypatch.setattr(steps, "PATIENCE_SECONDS", 0.2)
    guarded.do(run, failing(100_000, raised))
    until = time.monotonic() + 30
    while run.postponed:
        assert time.monotonic() < until
        guarded.try_again(run)
    (result,) = broken_off
    told = told_of(result)
    assert (told.code, told.kind, result.retryable) == (code, SYSTEM, True)


@pytest.mark.parametrize("raised", PASSING[-2:], ids=repr)
def test_it_waits_for_the_database_as_long_as_that_is_away(
    guarded: steps.Steps, run: Run, broken_off: list[Outcome], monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    """Nobody could be told of an end meanwhile; whether it fails is not to depend on that."""
    monkeypatch.setattr(steps, "PATIENCE_SECONDS", 0.0)
    guarded.do(run, failing(50, raised))
    while run.postponed:
        guarded.try_again(run)
    assert run.short_since is None and broken_off == []


def told_of(result: Outcome) -> execution_pb2.ExecutionError:
    assert result.error is not None
    return execution_pb2.ExecutionError.FromString(result.error)


@pytest.mark.parametrize("raised", [ValueError("odd"), PermissionError(13, "denied"), KeyError("x")], ids=repr)
def test_anything_else_ends_the_attempt_at_once(
    guarded: steps.Steps, run: Run, broken_off: list[Outcome], raised: Exception
) -> None:
    guarded.do(run, failing(1, raised))
    assert [told_of(result).code for result in broken_off] == ["StartFailed"] and run.postponed == []


def test_what_cannot_be_told_is_told_again_and_holds_up_nothing() -> None:
    untold, told = Untold(), []

    def odd() -> None:
        told.append("odd")
        if told.count("odd") < 3:
            raise OSError(errno.EMFILE, "Too many open files")

    untold.tell(odd)
    untold.tell(lambda: told.append("even"))
    until = time.monotonic() + 30
    while len(untold):
        assert time.monotonic() < until
        untold.again()
    assert told == ["odd", "even", "odd", "odd"]


@pytest.mark.parametrize("ended", [Exit(1), Exit(0), Exit(-7), Exit(1, log_tail="Disk quota exceeded")], ids=repr)
def test_what_ends_on_a_full_disk_without_a_word_is_the_systems_fault(tmp_path: Path, ended: Exit) -> None:
    store = open_store(f"{tmp_path}/objects")
    full = ended if ended.log_tail else replace(ended, disk_full=True)
    result = judge(f"{store.root}/metadata/x", full, store)
    assert (told_of(result).code, told_of(result).kind, result.retryable) == ("DiskFull", SYSTEM, True)


def test_outputs_that_were_written_count_on_a_full_disk_too(tmp_path: Path) -> None:
    store = open_store(f"{tmp_path}/objects")
    store.put(f"{store.root}/metadata/x/outputs.pb", b"")
    result = judge(f"{store.root}/metadata/x", Exit(0, disk_full=True), store)
    assert result.phase == AttemptPhase.SUCCEEDED


def test_it_remembers_that_a_disk_was_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks, begin = Disks([tmp_path, tmp_path / "not-there"]), time.monotonic()
    assert not disks.full() and not disks.were_full(begin)
    disks.require_room()
    monkeypatch.setattr(shortage, "FREE_BYTES", 1 << 70)
    with pytest.raises(OSError, match="No space left") as raised:
        disks.require_room()
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert disks.were_full(begin) and not disks.were_full(time.monotonic())


# --- GPUs, memory, echo -----------------------------------------------------------------------------------------------


def test_fewer_gpus_than_asked_for_are_none(tmp_path: Path) -> None:
    assert gpus.choose(2, 4, {1}, tmp_path) == (0, 2)
    assert gpus.choose(0, 0, set(), tmp_path / "not-there") == ()
    with pytest.raises(BlockingIOError, match=r"asks for 2 GPUs and 1 of 4 are free: others are in use by \[0, 1, 3\]"):
        gpus.choose(2, 4, {0, 1, 3}, tmp_path)


@processes
def test_a_task_waits_for_gpus_that_something_else_uses(own_bench: Bench, tmp_path: Path) -> None:
    """A process of an earlier executor that nobody has adopted yet."""
    own_bench.executor.stop()
    own_bench.new_executor(gpu=2)
    needs = Resources(cpu=0.5, gpu=2)
    first = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "a")}, resources=needs)
    own_bench.executor.submit(first)
    own_bench.wait_start(first)
    crash(own_bench)
    own_bench.new_executor(gpu=2)
    second = own_bench.task("add", inputs={"a": 1, "b": 1}, resources=needs)
    own_bench.executor.submit(second)
    own_bench.executor.tick()
    run = own_bench.executor.runs.by_id[second.attempt_id]
    assert run.gpus == () and run.process is None and run.short_since is not None
    (tmp_path / "a").touch()
    assert own_bench.wait_end(second).outcome.phase == AttemptPhase.SUCCEEDED


def test_processes_that_are_hidden_from_us_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /proc mounted with hidepid hides those of others."""
    real = open

    def hiding(path: str, *args: object) -> object:
        if path == "/proc/1/stat":
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        return real(path, *args)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", hiding)
    assert os.getpid() in memory.by_session({os.getsid(0)})[os.getsid(0)]


@processes
def test_an_echo_does_not_keep_the_daemon_waiting_for_the_store(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = own_bench.task("add", inputs={"a": 20})
    may_read, real = threading.Event(), own_bench.store.get

    def slow(uri: str) -> bytes:
        assert may_read.wait(30)
        return real(uri)

    monkeypatch.setattr(own_bench.store, "get", slow)
    echo = replace(attempt.spec, argv=(), echo={"a": "o0"})
    own_bench.executor.submit(replace(attempt, spec=echo))  # comes back although the store does not answer
    may_read.set()
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED
