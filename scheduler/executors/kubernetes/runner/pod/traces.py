"""What an import changes of its process besides memory: forks with another environment and other folders would not
have it, or would have it together.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time

from . import forkable, processes


class Traces:
    """Made before the import, by the process that imports."""

    def __init__(self) -> None:
        self.pid, self.environment, self.folder = os.getpid(), dict(os.environ), os.getcwd()
        self._before = forkable.Before()
        self._changed: dict[str, str | None] = {}
        self._temporary: str | None = None
        processes.prctl(processes.REAPER, 1)  # whoever hides behind a parent that ends is seen, too

    def why_not(self) -> str:
        """Why no fork could be as if it had imported it itself; empty: it could."""
        if processes.has_children():
            return "it started processes"
        return self._before.why_not()

    def remember(self) -> None:
        """It is going to be forked."""
        processes.prctl(processes.REAPER, 0)
        names = {*self.environment, *os.environ}
        found = {name: os.environ.get(name) for name in names}
        self._changed = {name: value for name, value in found.items() if value != self.environment.get(name)}
        if tempfile.tempdir != os.path.abspath(self.environment["TMPDIR"]):
            self._temporary = tempfile.tempdir
        self._of_ends = signal.getsignal(signal.SIGCHLD)

    def repeat(self, own: dict[str, str]) -> None:
        """In a fork, which has its environment; `own`: with what is only its own, and was not there to be changed."""
        for name, value in self._changed.items():
            if name in own and name not in self.environment:
                continue
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if "TZ" in self._changed and hasattr(time, "tzset"):
            time.tzset()
        tempfile.tempdir = self._temporary
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if self._of_ends is None else self._of_ends)
