"""Jobs of their own threads: in turn, a few at a time, and none keeps the process from ending."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from scheduler.executors.kubernetes.threads import Threads


def until(happened: object) -> None:
    due = time.monotonic() + 10
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < due
        time.sleep(0.01)


def test_at_most_so_many_work_and_all_are_done() -> None:
    threads, lock = Threads(3, "few"), threading.Lock()
    now = most = done = 0

    def job() -> None:
        nonlocal now, most, done
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now, done = now - 1, done + 1

    for _ in range(30):
        threads.submit(job)
    until(lambda: done == 30)
    assert most == 3


def test_one_that_waits_takes_the_next_job_and_none_is_begun_for_it() -> None:
    threads, did = Threads(8, "some"), threading.Semaphore(0)
    for number in range(5):
        threads.submit(did.release)
        assert did.acquire(timeout=5)
        until(lambda: threads._idle._value == 1)
        assert threads._begun == 1, number


def test_a_job_that_fails_takes_no_thread_with_it() -> None:
    threads, done = Threads(1, "one"), threading.Event()
    threads.submit(lambda: 1 / 0)
    threads.submit(done.set)
    assert done.wait(5)


def test_what_waits_is_not_begun_after_a_stop() -> None:
    threads, go, begun = Threads(1, "one"), threading.Event(), threading.Event()
    threads.submit(go.wait)
    threads.submit(begun.set)
    threads.stop()
    threads.submit(begun.set)
    go.set()
    assert not begun.wait(0.3)


def test_a_job_that_hangs_does_not_keep_a_process_from_ending() -> None:
    program = (
        "import threading; from scheduler.executors.kubernetes.threads import Threads; began = threading.Event();"
        "threads = Threads(1, 'x'); threads.submit(lambda: (began.set(), threading.Event().wait())); began.wait()"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert time.monotonic() - began < 50
