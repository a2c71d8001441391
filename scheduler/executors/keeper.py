"""Keeps a process for each cluster that was set while Causeway runs, one for connectors where there are any, and
follows what is changed.

A process of its own for each: what one cluster does to its client, or a bug in it, is no other's trouble, and a change
of settings is a restart, which loses nothing (attempts are adopted). The keeper is a thread of an executor that is
there anyway: a process that only waits for clusters would cost everybody without one 80 MB.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from django.db import close_old_connections

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds until a process that ended is started again
STEADY_SECONDS = 60.0  # one that ran for so long is started again at once
STOP_SECONDS = 8.0


Which: TypeAlias = tuple[str, str]  # kind of executor, and cluster of it


@dataclass
class Kept:
    settings: str  # as they were when it was started
    process: subprocess.Popen[bytes]
    started_at: float  # monotonic
    pause: float = FIRST_PAUSE
    due: float | None = None  # monotonic; when it is started again, once it ended
    leaving: bool = False  # it was told to stop


class Keeper:
    def __init__(
        self, wanted: Callable[[], Mapping[Which, str]], start: Callable[[Which], subprocess.Popen[bytes]]
    ) -> None:
        """`wanted`: which processes there should be, each with a text that changes when it has to start anew."""
        self.wanted, self.start = wanted, start
        self.kept: dict[Which, Kept] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until stop() is called, and its processes have ended."""
        while not self.stopping.is_set():
            try:
                self.step(self.wanted(), time.monotonic())
            except Exception as error:  # noqa: BLE001 - what runs goes on, whatever keeps us from looking
                logger.warning("the clusters cannot be looked at, will try again: %s", error)
                close_old_connections()
            self.stopping.wait(LOOK_SECONDS)
        self._end_all()

    def stop(self) -> None:
        self.stopping.set()
        for kept in list(self.kept.values()):
            self._tell(kept)

    def step(self, wanted: Mapping[Which, str], now: float) -> None:
        """Start what is missing, stop what is not wanted, or not so; it is started when the old one has ended."""
        for name, kept in list(self.kept.items()):
            ended = kept.process.poll() is not None
            if wanted.get(name) != kept.settings:
                self._tell(kept)
                if ended:
                    del self.kept[name]
            elif ended:
                self._again(name, kept, now)
        for name, settings in wanted.items():
            if name not in self.kept:
                self.kept[name] = Kept(settings, self.start(name), now)
                logger.info("%s: its executor is started", _words(name))

    def _again(self, name: Which, kept: Kept, now: float) -> None:
        if kept.due is None:
            kept.pause = FIRST_PAUSE if now - kept.started_at > STEADY_SECONDS else min(kept.pause * 2, LONGEST_PAUSE)
            kept.due = now + kept.pause
            logger.warning("%s: its executor ended (%s)", _words(name), kept.process.returncode)
        if now >= kept.due:
            kept.process, kept.started_at, kept.due, kept.leaving = self.start(name), now, None, False

    def _tell(self, kept: Kept) -> None:
        if not kept.leaving and kept.process.poll() is None:
            kept.leaving = True
            kept.process.terminate()

    def _end_all(self) -> None:
        due = time.monotonic() + STOP_SECONDS
        for kept in self.kept.values():
            self._tell(kept)
        for kept in self.kept.values():
            try:
                kept.process.wait(max(0.0, due - time.monotonic()))
            except subprocess.TimeoutExpired:
                kept.process.kill()
                kept.process.wait()


def _words(which: Which) -> str:
    kind, cluster = which
    return f"cluster {cluster}" if cluster else kind
