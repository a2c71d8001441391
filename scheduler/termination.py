"""How a process learns that it should end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


def on_termination(stop: Callable[[], None]) -> None:
    """Have `stop` called, in a thread of its own, when SIGTERM or SIGINT comes. From the main thread only.

    A handler would run in the main thread between any two of its steps. If that thread is just then inside
    `Event.wait`, it holds the event's lock, and a handler that sets the event waits for it for ever.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # only with a handler is the descriptor written to

    def wait() -> None:
        os.read(reading, 1)
        stop()

    threading.Thread(target=wait, name="termination", daemon=True).start()
