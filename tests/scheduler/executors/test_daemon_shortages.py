"""The executor without descriptors, with a full disk, and killed again and again, as a real process."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from scheduler.attempts import wire
from scheduler.models import PhaseEvent, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase, Machine
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.conftest import Bench
from tests.scheduler.executors.test_daemon import Daemon, ended, queue, running, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.e2e]  # real processes


@pytest.fixture
def files(tmp_path: Path, settings: Settings) -> Bench:
    settings.CAUSEWAY_STORE_URL = f"{tmp_path}/objects"
    return Bench(tmp_path, start=False)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.kill()


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """The process can open nothing more, as if it had used up what it may."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_time_without_descriptors_costs_no_attempt(daemon: Daemon, files: Bench, tmp_path: Path) -> None:
    """What began before it ends meanwhile, what is queued meanwhile begins afterwards, in the same process."""
    (tmp_path / "go").touch()
    wait_for(queue(files, "add", inputs={"a": 1, "b": 1}), ended)
    before = queue(files, "waits_for", inputs={"marker": str(tmp_path / "later")})
    wait_for(before, running)
    with no_descriptors(daemon.process.pid):
        rows = [queue(files, "waits_for", inputs={"marker": str(tmp_path / "go")}) for _ in range(5)]
        rows.append(queue(files, "add", inputs={"a": 1, "b": 2}, env={"OTHER": "zygote"}))
        (tmp_path / "later").touch()
        time.sleep(3)
        assert not TaskExecution.objects.filter(phase=AttemptPhase.FAILED).exists()
    for row in (before, *rows):
        assert wait_for(row, ended, timeout=20).phase == AttemptPhase.SUCCEEDED, row.reason
    assert wait_for(queue(files, "add", inputs={"a": 1, "b": 1}), ended, timeout=20).phase == AttemptPhase.SUCCEEDED
    assert daemon.process.poll() is None


def test_every_attempt_ends_once_however_often_executor_and_zygotes_are_killed(
    daemon: Daemon, files: Bench, tmp_path: Path
) -> None:
    chance = random.Random(5)  # noqa: S311 - not for secrets
    count = 30
    rows = [queue(files, "notes_its_run", inputs={"folder": str(tmp_path / "runs")}) for _ in range(count)]
    for _ in range(6):
        time.sleep(chance.uniform(0.3, 1.5))
        if chance.random() < 0.5:
            daemon.kill()
            daemon.start()
        else:
            kill_a_zygote(daemon, chance)
    for row in rows:
        assert wait_for(row, ended).phase == AttemptPhase.SUCCEEDED, row.reason
    ends = PhaseEvent.objects.filter(machine=Machine.ATTEMPT, to_phase__in=sorted(ATTEMPT_TERMINAL))
    assert Counter(ends.values_list("object_id", flat=True)) == Counter(row.pk for row in rows)
    # Each ran once: a run leaves a file of its own, and no attempt was repeated.
    assert len(list((tmp_path / "runs").iterdir())) == count


def kill_a_zygote(daemon: Daemon, chance: random.Random) -> None:
    """Of those that are there just now: the first, which is the executor's child, and those forked from it, which share
    its session. A process with a session of its own is an attempt's, or about to be.
    """
    zygotes = []
    for process in psutil.process_iter():
        try:
            if "/zygote" not in " ".join(process.cmdline()) or not process.cwd().startswith(str(daemon.home)):
                continue
            if process.ppid() == daemon.process.pid or os.getsid(process.pid) != process.pid:
                zygotes.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    if zygotes:
        chance.choice(zygotes).kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB; skipped where none can be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_attempts_wait_for_room_on_a_full_disk_and_are_nobodys_fault(small_disk: Path, settings: Settings) -> None:
    settings.CAUSEWAY_STORE_URL = f"{small_disk}/objects"
    files, go = Bench(small_disk, start=False), small_disk.parent / "go"
    daemon = Daemon(small_disk)
    try:
        wait_for(queue(files, "add", inputs={"a": 1, "b": 1}), ended)
        surprised = queue(files, "waits_for", inputs={"marker": str(go)})
        silent = queue(files, "", args=["sh", "-c", f"until test -e {go}; do sleep 0.05; done; exit 9"])
        for row in (surprised, silent):
            wait_for(row, running)
        prepared = [files.task("add", inputs={"a": n, "b": n}) for n in range(3)]
        fill(small_disk / "ballast")
        go.touch()
        for row in (surprised, silent):
            assert wait_for(row, ended).phase == AttemptPhase.FAILED
            assert row.error is not None and b"DiskFull" in bytes(row.error) and row.error_retryable, row.reason
        later = [make_attempt(name=one.name, command=wire.to_json(one.spec)) for one in prepared]
        time.sleep(2)
        for row in later:
            row.refresh_from_db()
            assert row.phase == AttemptPhase.INITIALIZING
        (small_disk / "ballast").unlink()
        for row in later:
            assert wait_for(row, ended, timeout=20).phase == AttemptPhase.SUCCEEDED, row.reason
    finally:
        daemon.kill()


def fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
