"""Executors as processes of their own, killed again and again, against quotas: nothing over, lost or counted twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from scheduler.attempts.phases import HELD
from scheduler.models import Execution, ExecutorInstance, PhaseEvent, TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.quotas.test_claiming import attempts, quota

pytestmark = pytest.mark.e2e  # real processes

# More of them: CAUSEWAY_STORM=10000 .venv/bin/python -m pytest tests/scheduler/quotas/test_storm.py
ATTEMPTS = int(os.environ.get("CAUSEWAY_STORM", "400"))
PROJECTS, EXECUTORS = 10, 3
ROOT = Path(__file__).resolve().parents[3]


def start(name: str, log: Path) -> subprocess.Popen[bytes]:
    database = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-m", "tests.scheduler.quotas.one_executor", database, name]
    with log.open("ab") as said:
        return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)


def working(running: dict[str, subprocess.Popen[bytes]]) -> list[str]:
    """Those that began to claim: on a busy machine a process takes longer to start than between two kills."""
    there = set(ExecutorInstance.objects.values_list("name", flat=True))
    return [name for name in running if name in there]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_over_lost_or_counted_twice(tmp_path: Path) -> None:
    quota("attempts", 20)
    allowed = {f"p{number}": 1 + number % 4 for number in range(PROJECTS)}
    for project, limit in allowed.items():
        quota("attempts", limit, project)
        attempts(project, ATTEMPTS // PROJECTS)
    chance, log = random.Random(11), tmp_path / "log"  # noqa: S311
    names = [f"e{number}" for number in range(EXECUTORS)]
    running = {name: start(name, log) for name in names}
    homes = dict(Execution.objects.values_list("pk", "project"))
    over: list[object] = []
    kills, kill_at, until = 0, time.monotonic() + 3, time.monotonic() + 90 + ATTEMPTS / 10
    unfinished = TaskExecution.objects.filter(phase__in=[AttemptPhase.QUEUED, *HELD])
    try:
        while (left := unfinished.count()) > 0:
            assert time.monotonic() < until, f"{left} are left after {kills} kills: {log.read_text()[-3000:]}"
            held = Counter(
                homes[pk] for pk in TaskExecution.objects.filter(phase__in=HELD).values_list("execution_id", flat=True)
            )
            over += [(project, count) for project, count in held.items() if count > allowed[project]]
            if sum(held.values()) > 20:
                over.append(held)
            if time.monotonic() > kill_at and left > ATTEMPTS // 10 and len(working(running)) > 1:
                kill_at, kills = time.monotonic() + chance.uniform(0.5, 3.0), kills + 1
                name = chance.choice(working(running))
                running[name].kill()
                running[name].wait()
                ExecutorInstance.objects.filter(name=name).delete()
                running[name] = start(name, log)
            time.sleep(0.02)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    assert over == []
    assert kills > 0
    moved = PhaseEvent.objects.filter(machine="attempt").values_list("object_id", "to_phase")
    counts = Counter(moved)
    for pk in TaskExecution.objects.values_list("pk", flat=True):
        assert counts[pk, AttemptPhase.INITIALIZING] == 1, "claimed once"
        assert counts[pk, AttemptPhase.SUCCEEDED] == 1, "ended once"
