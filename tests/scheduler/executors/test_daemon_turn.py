"""A process whose executor waits for its turn (another replica has the lease) and is told to end."""

from __future__ import annotations

import threading

from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit
from scheduler.executors.daemon import Daemon
from scheduler.executors.fake import FakeExecutor


class InTurn(FakeExecutor):
    def __init__(self) -> None:
        super().__init__(lambda assignment: None, total=Resources(cpu=1))
        self.waits, self.given_up = threading.Event(), threading.Event()
        self.did: list[str] = []

    def start(self, emit: Emit) -> None:
        self.waits.set()
        self.given_up.wait(30)

    def give_up(self) -> None:
        self.given_up.set()

    def adopt(self, assignment: Assignment) -> None:
        self.did.append("adopt")

    def settle(self) -> None:
        self.did.append("settle")

    def stop(self) -> None:
        self.did.append("stop")


def test_it_ends_at_once_and_touches_nothing_that_another_one_works_on() -> None:
    executor = InTurn()
    daemon = Daemon(executor, "this-replica")
    running = threading.Thread(target=daemon.run)
    running.start()
    assert executor.waits.wait(10)
    daemon.stop()
    running.join(5)
    assert not running.is_alive()
    assert executor.did == ["stop"]
