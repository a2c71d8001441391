"""A process that leaves by `os._exit` does before what an interpreter does at its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from console.supervisor.processes import ROOT

pytestmark = pytest.mark.e2e
# The thread of an eager task publishes through flytekit's event loop for as long as it may.
EAGER = """
import asyncio, atexit, os, threading
from types import SimpleNamespace
from flytekit.core import worker_queue
from flytekit.utils.asyn import run_sync
from scheduler.executors.local.zygote import ending

async def publish():
    for _ in range(10):
        await asyncio.sleep(0.01)

class Publishing(worker_queue.Controller):
    made, began = threading.Event(), threading.Event()

    def _poll(self):
        self.made.wait()  # it has nothing to publish before
        while not self.stopping_condition.is_set():
            run_sync(publish)
            self.began.set()

remote = SimpleNamespace(config=SimpleNamespace(platform=SimpleNamespace(endpoint="")))
controller = Publishing(remote, None, "tag", "root", "prefix")
controller.made.set()
assert controller.began.wait(30)
{end}()
print("ended", flush=True)
os._exit(0)
"""


def ends(end: str, *, seconds: float = 60) -> str:
    words = [sys.executable, "-c", EAGER.format(end=end)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=True).stdout


@pytest.mark.parametrize("end", ["ending.run_exit_functions", "ending.end_eager"])
def test_the_thread_of_an_eager_task_ends_before_what_it_publishes_through(end: str) -> None:
    assert ends(end) == "ended\n"


def test_exit_functions_run_and_threads_are_waited_for() -> None:
    program = """
import atexit, os, threading, time
from scheduler.executors.local.zygote import ending
atexit.register(print, "exit function", flush=True)
threading.Thread(target=lambda: (time.sleep(0.2), print("thread", flush=True))).start()
ending.run_exit_functions()
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "thread\nexit function\n"
