from __future__ import annotations

import threading
import time

from console.fair.pool import Pool
from console.fair.turns import Caller

ANN = Caller("user 1")


def test_who_was_idle_for_the_shortest_time_goes_on() -> None:
    pool, names = Pool(4, "test"), []
    for _ in range(5):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            names.append(threading.current_thread().name)
            done.set()

        pool.add(ANN, work)
        assert done.wait(5)
        time.sleep(0.05)  # it is idle again
    assert len(set(names)) == 1


def test_as_many_work_at_once_as_there_are_threads() -> None:
    pool, meet = Pool(3, "test"), threading.Barrier(4)
    for number in range(3):
        pool.add(Caller(f"user {number}"), lambda: meet.wait(10))
    meet.wait(10)


def test_threads_end_with_their_pool() -> None:
    pool = Pool(3, "ending")
    threads = [each for each in threading.enumerate() if each.name.startswith("ending-")]
    del pool
    for each in threads:
        each.join(5)
    assert not any(each.is_alive() for each in threads)
