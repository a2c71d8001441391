"""`script/up` keeps everything running, whatever is killed, and leaves nothing behind when it is stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import grpc
import psutil
import pytest
from flyteidl.admin.version_pb2 import GetVersionRequest
from flyteidl.service.admin_pb2_grpc import AdminServiceStub

from console.supervisor.leftovers import running
from console.supervisor.paths import Home
from tests.stack import RunningStack, free_port

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parent.parent.parent
EVERY_PROCESS = {"postgres", "valkey", "web", "rpc", "worker-1", "worker-2", "slow", "executor", "supervisor"}


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


class Up:
    """A running `script/up --no-demo`."""

    def __init__(self, home: Path, http_port: int) -> None:
        self.home = Home(home)
        self.url = f"http://localhost:{http_port}"
        env = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
        env.pop("DATABASE_URL", None)
        command = [sys.executable, "-m", "console.supervisor.up", "--no-demo", "--home", str(home)]
        self.grpc_port = free_port()
        command += [f"--http-port={http_port}", f"--grpc-port={self.grpc_port}"]
        self.out = home.parent / f"{home.name}.out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)

    def says(self, text: str, *, times: int = 1) -> bool:
        assert self.process.poll() is None, self.out.read_text()
        return self.out.read_text().count(text) >= times

    def wait_announced(self) -> None:
        wait_until(lambda: self.says("Ctrl-C stops it"), seconds=120, what="script/up")

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Up]]:
    """Starts script/up on one home, as often as asked."""
    port, started = free_port(), []

    def begin() -> Up:
        up = Up(tmp_path / "home", port)
        started.append(up)
        up.wait_announced()
        return up

    yield begin
    for up in started:
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGTERM)
            up.process.wait(60)


def test_started_means_that_every_door_answers(tmp_path: Path) -> None:
    for _ in range(2):  # the second start finds signs of life of the first
        up = Up(tmp_path / "home", free_port())
        try:
            wait_until(lambda up=up: up.says("everything is started"), seconds=180, what="the line")  # type: ignore[misc]
            with grpc.insecure_channel(f"127.0.0.1:{up.grpc_port}") as channel:
                AdminServiceStub(channel).GetVersion(GetVersionRequest(), timeout=5)  # type: ignore[no-untyped-call]
            assert up.is_ready()
            assert {"rpc", "web", "executor", "worker-1"} <= set(running(up.home))
        finally:
            up.process.send_signal(signal.SIGTERM)
            up.process.wait(60)


def processes_of(home: Home) -> list[str]:
    """Everything that runs with this home, tracked by us or not."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CAUSEWAY_HOME") == str(home.root):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_it_restarts_whatever_is_killed(stack: RunningStack) -> None:
    for name in sorted(EVERY_PROCESS - {"supervisor"}):
        wait_until(lambda name=name: stack.pid(name) is not None, seconds=30, what=name)  # type: ignore[misc]
        killed = stack.kill(name)
        assert killed
        wait_until(lambda name=name, old=killed: stack.pid(name) not in {None, old}, seconds=30, what=f"{name} again")  # type: ignore[misc]
    stack.wait_ready()
    assert set(stack.pids()) == EVERY_PROCESS


def test_it_recovers_from_the_death_of_its_supervisors_and_stops_cleanly(start: Callable[[], Up]) -> None:
    up = start()
    home = up.home
    assert home.admin_token.stat().st_mode & 0o777 == 0o600
    token = home.admin_token.read_text()
    link = re.search(r"http://\S+/login/link/\S+", up.out.read_text())
    assert link
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(link[0], timeout=30) as page:
        assert page.status == 200
        assert "/login/" not in page.url
        sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.read().decode())
    assert sheets
    for sheet in sheets:  # collected by this first start, after the supervisor had begun
        with browser.open(urljoin(page.url, sheet), timeout=30) as found:
            assert found.headers.get_content_type() == "text/css"

    running(home)["supervisor"].kill()
    wait_until(lambda: up.says("the supervisor was killed"), seconds=30, what="noticing")
    wait_until(up.is_ready, seconds=120, what="the second supervisor's set-up")

    up.process.kill()
    for process in running(home).values():
        if "supervisord" in " ".join(process.cmdline()):
            process.kill()
    up.process.wait(10)

    again = start()
    assert again.is_ready()
    assert home.admin_token.read_text() == token
    assert set(running(home)) == EVERY_PROCESS

    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(60) == 0, again.out.read_text()
    assert processes_of(home) == []
    assert "Traceback" not in again.out.read_text()
