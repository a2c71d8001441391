"""What a run directory says of its attempt, where the task itself may have written it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from artifacts.task_users import Identity
from scheduler.executors.local import lately
from scheduler.executors.local.lately import Lately
from scheduler.executors.local.rundir import LATEST, RunDirectory
from scheduler.executors.local.starting import Starting
from scheduler.executors.local.zygote import child, whole


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ('{"status": 0, "at": 1.0}', 0),
        ('1:2:3.0\n{"status": -9}', -9),
        ('1:2:3.0\n{"status": 3}\n{"status": 0}', 3),
        ('{"status": 1e999}', None),
        ('{"status": NaN}', None),
        ('{"status": 99999999999999999999999}', None),
        ('{"status":' + "[" * 4000, None),
        ('{"a":' * 800, None),
        ("7", None),
        ("[]", None),
        ("", None),
    ],
)
def test_a_result_is_a_number_or_there_is_none(tmp_path: Path, said: str, status: int | None) -> None:
    (tmp_path / "done").write_text(said)
    assert RunDirectory(tmp_path).result() == status
    assert RunDirectory(tmp_path).disk_was_full() is False


@pytest.mark.parametrize("since", ["nan", "inf", "-1", "1e999", "soon", "", "9e15"])
@pytest.mark.parametrize("changed", [1_000_000, 1 << 40, -5])
def test_when_it_began_is_a_time_whatever_is_said(tmp_path: Path, since: str, changed: int) -> None:
    (tmp_path / "started").write_text(f"1:2:{since}")
    os.utime(tmp_path / "started", (changed, changed))
    at = RunDirectory(tmp_path).started_at()
    assert at == (1_000_000 if changed == 1_000_000 else pytest.approx(LATEST) if changed > 0 else 0)


def test_of_two_results_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "started").write_text("1:2:3.0")
    child._leave_own_result(str(tmp_path), 3, full=False)
    child._leave_own_result(str(tmp_path), 0, full=False)
    assert RunDirectory(tmp_path).result() == 3


def test_a_result_that_was_written_in_part_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "started").write_text("1:2:3.0")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, said: write(fd, said[:7]))
    child._leave_own_result(str(tmp_path), 3, full=True)
    assert RunDirectory(tmp_path).result() == 3


def test_a_task_may_have_closed_what_its_end_is_told_over() -> None:
    hears, told = os.pipe()
    os.close(hears)
    os.close(told)
    child._write_status(told, 0)


STARTED: dict[str, Callable[[Path], object]] = {
    "words": lambda path: path.write_text("words:1"),
    "nothing": lambda path: path.touch(),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", STARTED)
def test_a_zygote_is_not_kept_by_what_a_task_put_there(tmp_path: Path, kind: str) -> None:
    STARTED[kind](tmp_path / "started")
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(child.taken_by(str(tmp_path))), daemon=True)
    asking.start()
    asking.join(5)
    assert found == [0]


def test_processes_that_write_the_same_file_do_not_write_into_each_others(tmp_path: Path) -> None:
    target = str(tmp_path / "outputs.pb")
    with whole.replacing(target) as ours:
        Path(ours).write_text("ours, and long")
        if (pid := os.fork()) == 0:
            with whole.replacing(target) as theirs:
                Path(theirs).write_text("theirs")
            os._exit(0)
        os.waitpid(pid, 0)
        assert Path(target).read_text() == "theirs"
        assert Path(ours).read_text() == "ours, and long"
    assert os.listdir(tmp_path) == ["outputs.pb"]
    assert Path(target).read_text() == "ours, and long"


def test_what_was_handed_over_a_moment_ago_is_not_handed_over_again() -> None:
    handed: list[str] = []
    starting: Any = SimpleNamespace(_handed_over=Lately(60.0))
    store: Any = SimpleNamespace(hand_over=lambda folder, user: handed.append(folder))
    for folder in ("a", "b", "a"):
        Starting._hand_over_once(starting, store, folder, Identity(1, 1))
    assert handed == ["a", "b"]
    starting._handed_over.seconds = 0.0
    Starting._hand_over_once(starting, store, "a", Identity(1, 1))
    assert handed == ["a", "b", "a"]


def test_what_is_known_lately_is_little_and_safe_with_threads() -> None:
    known: Lately[int, int] = Lately(60.0)

    def use(first: int) -> bool:
        for number in range(first, first + 2 * lately.MOST):
            known.put(number, -number)
            if known.get(number) not in (-number, None):
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(0, 8 * 50, 50)))
    assert len(known._known) <= lately.MOST
    known.put(-1, 1)
    known.put(-1, 2)
    assert known.get(-1) == 2
