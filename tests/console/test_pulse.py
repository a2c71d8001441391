"""Processes without a door show by a file that they go round their loops, and that they hang."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.celery import Ticks, app
from console.supervisor import valkey as valkey_server
from console.supervisor.paths import Home
from scheduler import pulse
from tests.cluster.running import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAUSEWAY_PULSE", str(tmp_path / "pulse"))
    return tmp_path / "pulse"


def beats(place: Path, seconds: float = 60) -> None:
    """Raises TimeoutError where it does not, from now on."""
    if place.exists():
        os.utime(place, (0, 0))
    eventually(lambda: place.exists() and place.stat().st_mtime > 0, seconds)


def test_nothing_is_written_where_nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUSEWAY_PULSE", raising=False)
    pulse.beat()
    monkeypatch.setenv("CAUSEWAY_PULSE", str(tmp_path / "no folder" / "pulse"))
    pulse.beat()
    assert list(tmp_path.iterdir()) == []


def test_the_clock_beats_with_each_tick(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = Ticks(app, lazy=True)
    monkeypatch.setattr(ticks, "_heap", [])  # nothing to send
    ticks.tick()
    assert place.exists()


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    made.make_directories()
    return made


@pytest.mark.e2e
def test_a_worker_beats_with_a_broker_and_without(place: Path, home: Home) -> None:
    broker = subprocess.Popen(valkey_server.arguments(home.valkey_socket), stdout=subprocess.DEVNULL)
    eventually(home.valkey_socket.exists)
    environment = {**os.environ, "CAUSEWAY_HOME": str(home.root), "REDIS_URL": "", "CELERY_SKIP_CHECKS": "1"}
    command = [sys.executable, "-m", "celery", "-A", "console", "worker", "--pool", "solo", "--without-gossip"]
    command += ["--without-mingle", "--without-heartbeat", "--loglevel", "critical"]
    worker = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        for _ in range(2):
            beats(place)
        broker.kill()
        broker.wait()
        time.sleep(1)
        beats(place)
    finally:
        for process in (worker, broker):
            process.kill()
            process.wait()
