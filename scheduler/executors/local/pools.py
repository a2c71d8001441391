"""Warm processes for every Python that tasks run in: the executor's own as soon as there may be tasks, others with
their first.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.executors.local.blocks import Gathering, Known
from scheduler.executors.local.zygotes import Zygotes


class Pools:
    def __init__(
        self,
        on_message: Callable[[dict[str, Any]], None],
        on_lost: Callable[[list[Path]], None],
        *,
        home: Path,
        warm_limit: int,
        group: int | None,
        needed: Callable[[], bool] | None = None,
    ) -> None:
        """See Zygotes. `needed`: for the executor's own Python."""

        self._gathering, self.quick = Gathering(), Known()
        self._made = partial(
            Zygotes, on_message, on_lost, home=home, warm_limit=warm_limit, group=group, gathering=self._gathering
        )
        self.own = self._made(python=sys.executable, needed=needed)
        self._others: dict[str, Zygotes] = {}  # by the path of their Python
        self._lock = threading.Lock()

    def of(self, python: str) -> Zygotes:
        if python == sys.executable:
            return self.own
        with self._lock:
            if python not in self._others:
                self._others[python] = self._made(python=python)
                self._others[python].start()
            return self._others[python]

    def together(self) -> AbstractContextManager[None]:
        """What this thread runs inside is dealt out at the end, small tasks several to a process."""
        return self._gathering.together()

    def all(self) -> list[Zygotes]:
        return [self.own, *list(self._others.values())]
