"""Samples of what attempts use: kept, bounded, measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.attempts import reports
from scheduler.attempts.observations import Observation, Used
from scheduler.attempts.samples import MOST, keep, thinned
from scheduler.executors.local import sampling
from scheduler.executors.local.sampling import Sampling, cpu_seconds, gpus_busy
from scheduler.models import AttemptSamples
from tests.scheduler.attempts import make_attempt


def _used(pk: int, after: float, **over: Any) -> Used:
    return Used(**{"attempt_id": pk, "after": after, "cpu": 0.5, "memory": 100, "cpu_seconds": after / 2, **over})


@pytest.mark.django_db
def test_samples_are_added_to_those_that_are_there() -> None:
    row = make_attempt()
    reports.report([_used(row.pk, 5), _used(row.pk, 10, cpu=2.0, memory=700)], actor="e")
    reports.report([_used(row.pk, 15, memory=300, gpu=0.25)], actor="e")
    kept = AttemptSamples.objects.get(attempt=row)
    assert kept.points == [[5, 0.5, 100, None], [10, 2.0, 700, None], [15, 0.5, 300, 0.25]]
    assert (kept.peak_cpu, kept.peak_memory, kept.cpu_seconds) == (2.0, 700, 7.5)


@pytest.mark.django_db
def test_of_an_attempt_that_is_gone_nothing_is_kept_and_the_others_are() -> None:
    row = make_attempt()
    assert keep([_used(row.pk + 1000, 5), _used(row.pk, 5)]) == 1
    assert AttemptSamples.objects.count() == 1


def test_however_many_there_were_at_most_so_many_are_kept_and_the_newest_stays() -> None:
    points: list[list[float | None]] = []
    for number in range(1000):
        points = thinned([*points, [float(number), 0.0, 0.0, None]])
        assert len(points) <= MOST
        assert points[-1][0] == number
    assert [point[0] for point in points] == sorted(point[0] or 0.0 for point in points)
    assert points[0][0] is not None and points[0][0] < 100  # what was long ago is not forgotten


def test_what_a_process_and_its_children_use_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = "import os, time\nos.fork()\nend = time.time() + 20\nwhile time.time() < end: pass"
    process = subprocess.Popen([sys.executable, "-c", busy], start_new_session=True)
    seen: list[Observation] = []
    monkeypatch.setattr(sampling, "STEP_SECONDS", 0.4)
    run: Any = SimpleNamespace(
        process=SimpleNamespace(pid=process.pid),
        assignment=SimpleNamespace(attempt_id=7),
        started_at=datetime.now(timezone.utc),
        gpus=(),
        ended=False,
    )
    try:
        with ThreadPoolExecutor(1) as workers:
            looks = Sampling(workers, seen.append)
            until = time.monotonic() + 15
            while len(seen) < 2 and time.monotonic() < until:
                looks.sample([run])
                time.sleep(0.1)
    finally:
        os.killpg(process.pid, 9)
        process.wait()
    used = seen[-1]
    assert isinstance(used, Used) and used.attempt_id == 7
    assert used.cpu > 0.1  # two processes that do nothing else, on a machine that has other work as well
    assert used.memory > 1_000_000
    assert used.after > 0 and used.gpu is None


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert cpu_seconds(2**22 + 1) == 0.0


def test_gpus_are_asked_for_where_somebody_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpus_busy() == {}
    program.write_text("#!/bin/sh\nprintf '0, 75\\n1, 0\\n'\n")
    program.chmod(0o755)
    assert gpus_busy() == {0: 0.75, 1: 0.0}
    program.write_text("#!/bin/sh\nprintf '0, [N/A]\\n'\n")
    assert gpus_busy() == {}
    program.write_text("#!/bin/sh\nexit 9\n")
    assert gpus_busy() == {}
