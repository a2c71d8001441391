"""What the processes of attempts use, looked at every few seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from scheduler.attempts.observations import Observation, Used
from scheduler.executors.local import memory
from scheduler.executors.local.run import Run
from scheduler.executors.local.steps import quietly

STEP_SECONDS = 5.0
TICKS = os.sysconf("SC_CLK_TCK")  # of a process's CPU times, in a second
GPU_SECONDS = 3.0  # that nvidia-smi may take


class Sampling:
    """One thread of the workers looks at all of them; the next look waits until it is done."""

    def __init__(self, workers: ThreadPoolExecutor, tell: Callable[[Observation], None]) -> None:
        self.workers, self.tell = workers, tell
        self._before: dict[int, tuple[float, float]] = {}  # by attempt: when, and seconds of CPU until then
        self._looked_at = time.monotonic()
        self._busy = False

    def sample(self, runs: Sequence[Run]) -> None:
        """Called about twice a second with those that have a process."""
        now = time.monotonic()
        if self._busy or not runs or now - self._looked_at < STEP_SECONDS:
            return
        self._looked_at, self._busy = now, True
        try:
            self.workers.submit(quietly, partial(self._look, list(runs)))
        except RuntimeError:  # the executor stops
            self._busy = False

    def _look(self, runs: Sequence[Run]) -> None:
        try:
            members = memory.by_session({run.process.pid for run in runs if run.process is not None})
            busy = gpus_busy() if any(run.gpus for run in runs) else {}
            for run in runs:
                pids = members.get(run.process.pid, []) if run.process is not None else []
                if pids and not run.ended:
                    self._tell_of(run, pids, busy)
            held = {run.assignment.attempt_id for run in runs}
            self._before = {pk: seen for pk, seen in self._before.items() if pk in held}
        finally:
            self._busy = False

    def _tell_of(self, run: Run, pids: Collection[int], busy: Mapping[int, float]) -> None:
        pk, at, spent = run.assignment.attempt_id, time.monotonic(), sum(map(cpu_seconds, pids))
        before = self._before.get(pk)
        self._before[pk] = (at, spent)
        if before is None or run.started_at is None:
            return  # a rate takes two looks
        cores = max(spent - before[1], 0.0) / max(at - before[0], 0.001)  # a process of it may be gone
        after = (datetime.now(timezone.utc) - run.started_at).total_seconds()
        gpu = sum(busy.get(number, 0.0) for number in run.gpus) if run.gpus and busy else None
        self.tell(Used(pk, max(after, 0.0), cores, memory.proportional(pids), spent, gpu))


def cpu_seconds(pid: int) -> float:
    """What it and its children that ended have used of the processors; 0 of one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / TICKS
    except (OSError, IndexError, ValueError):
        return 0.0


def gpus_busy() -> dict[int, float]:
    """By number, the part of the time in which each device works, 0 to 1; nothing where nobody can say."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, "--query-gpu=index,utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=GPU_SECONDS, check=True).stdout  # noqa: S603
        pairs = [line.split(",") for line in said.splitlines() if line.strip()]
        return {int(number): float(percent) / 100 for number, percent in pairs}
    except (OSError, subprocess.SubprocessError, ValueError):  # `[N/A]` of a device that does not say
        return {}
