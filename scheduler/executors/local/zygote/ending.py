"""What an interpreter does at its end, for processes that leave by `os._exit`: it waits for threads, and runs the exit
functions.

Pods run this file too (a link in kubernetes/runner/pod).
"""

from __future__ import annotations

import atexit
import sys
import threading


def run_exit_functions() -> None:
    """Raises what they raise."""
    threading._shutdown()  # type: ignore[attr-defined]
    end_eager()
    atexit._run_exitfuncs()


def end_eager() -> None:
    """Wait for the threads in which flytekit looks after what eager tasks launched (core/worker_queue.py).

    They publish a deck every two seconds, through an event loop. flytekit's exit functions stop that loop first and
    wait for the thread then: for ever, if it was publishing. A task ends at about the time when it does.
    """
    controller = getattr(sys.modules.get("flytekit.core.worker_queue"), "Controller", None)
    if controller is None:
        return
    for thread in threading.enumerate():
        owner = getattr(getattr(thread, "_target", None), "__self__", None)
        if isinstance(owner, controller):
            owner._close(owner.stopping_condition, thread)
