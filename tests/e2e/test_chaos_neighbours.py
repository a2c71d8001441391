"""All that bad neighbours do, at once: kills, webhooks that drip, requests half sent, a full store, no descriptors.

Every version fires once all the same, and the console answers all the time. `CAUSEWAY_CHAOS_VERSIONS=300` and
`CAUSEWAY_CHAOS_FULL_SECONDS=60` make it as long as an hour of bad luck; CI takes less.
"""

from __future__ import annotations

import logging
import os
import random
import resource
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from causeway.client import Client

from tests.e2e.test_chaos import await_recovery, check_plan, publish, register
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e
logger = logging.getLogger(__name__)

VERSIONS = int(os.environ.get("CAUSEWAY_CHAOS_VERSIONS", "60"))
FULL_SECONDS = float(os.environ.get("CAUSEWAY_CHAOS_FULL_SECONDS", "8"))
NO_DESCRIPTORS_SECONDS = 5.0
PATIENCE = 240 + VERSIONS  # seconds
ANSWERS_IN = 1.0  # seconds
VICTIMS = ("rpc", "worker-1", "worker-2", "slow", "executor", "valkey")  # the console has to answer all the time
HALF = b"POST /api/v1/versions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
STARVED = ("executor", "worker-1", "worker-2", "slow")


@contextmanager
def small_disk(size: str = "192m") -> Iterator[Path]:
    """A file system of its own, which can be filled without harm to others."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-disk-", dir="/var/tmp"))  # noqa: S108 - tasks' users pass through
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "causeway", str(folder)])
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("this machine lets nobody mount a file system to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    with small_disk() as folder:
        yield folder


@pytest.fixture(scope="module")
def stack(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Its objects lie on the small disk."""
    home = tmp_path_factory.mktemp("neighbours") / "home"
    with running_stack(home, CAUSEWAY_STORE_URL=str(disk / "objects"), CAUSEWAY_WEBHOOK_PRIVATE="1") as running:
        yield running


class Neighbours:
    """Threads that each do one thing to a set-up until they are told to stop."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self.stop = threading.Event()
        self.killed, self.seconds = Counter[str](), list[float]()
        self.dripping = 0
        self.full = self.starved = False

    @contextmanager
    def at_work(self, *deeds: Callable[[], None]) -> Iterator[None]:
        threads = [threading.Thread(target=deed) for deed in deeds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def kill(self) -> None:
        order = random.Random(11)  # noqa: S311 - the same murders every time
        while not self.stop.wait(order.uniform(0.5, 2.0)):
            await_recovery(self.stack, self.stop)
            if self.stack.kill(name := order.choice(VICTIMS)):
                self.killed[name] += 1

    def ask_the_console(self) -> None:
        """A page that asks the database, as a browser would, four times a second."""
        while not self.stop.wait(0.25):
            began = time.monotonic()
            with urllib.request.urlopen(f"{self.stack.http_url}/login/", timeout=30) as answer:  # noqa: S310 - our own
                answer.read()
            self.seconds.append(time.monotonic() - began)

    def send_half(self) -> None:
        """Twenty requests of which the end never comes, begun again whenever they are hung up."""
        host, port = self.stack.http_url.removeprefix("http://").split(":")
        held: list[socket.socket] = []
        while not self.stop.wait(0.5):
            held = [one for one in held if not is_closed(one)]
            while len(held) < 20:
                one = socket.create_connection((host, int(port)), timeout=5)
                one.sendall(
                    b"POST /api/v1/versions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"[
                        : 40 + len(held)
                    ]
                )
                held.append(one)
        for one in held:
            one.close()

    def fill_the_disk(self, disk: Path) -> None:
        self.stop.wait(5)
        try:
            with open(disk / "rubbish", "wb", buffering=0) as rubbish:
                until = time.monotonic() + FULL_SECONDS
                while time.monotonic() < until:
                    try:
                        rubbish.write(b"\0" * (1 << 16))
                    except OSError:
                        self.full = True
                        time.sleep(0.1)
        finally:
            (disk / "rubbish").unlink()

    def take_descriptors(self) -> None:
        self.stop.wait(5 + FULL_SECONDS + 2)
        limits: list[tuple[psutil.Process, tuple[int, int]]] = []
        for name in STARVED:
            if (pid := self.stack.pid(name)) is not None:
                process = psutil.Process(pid)
                limits.append((process, process.rlimit(resource.RLIMIT_NOFILE)))
                process.rlimit(resource.RLIMIT_NOFILE, (3, limits[-1][1][1]))
                self.starved = True
        time.sleep(NO_DESCRIPTORS_SECONDS)
        for process, limit in limits:
            if process.is_running():
                process.rlimit(resource.RLIMIT_NOFILE, limit)


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1 << 12) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def dripping(neighbours: Neighbours) -> Iterator[str]:
    """A receiver that answers a byte now and then; its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        neighbours.dripping += 1
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
            while not neighbours.stop.wait(2):
                connection.sendall(b"x")
        except OSError:
            return
        finally:
            connection.close()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=[connection], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


def test_each_version_fires_once_and_the_console_answers_among_bad_neighbours(
    stack: RunningStack, disk: Path, tmp_path: Path
) -> None:
    register(stack, tmp_path)
    client = Client(stack.http_url, stack.admin_token)
    neighbours = Neighbours(stack)
    with dripping(neighbours) as address:
        for number in range(2):
            body = {"project": "flytesnacks", "channel": "webhook", "kinds": ["execution.succeeded"]}
            client.connection.call("POST", "subscriptions", json={**body, "address": f"{address}/{number}"})
        deeds = (neighbours.kill, neighbours.ask_the_console, neighbours.send_half, neighbours.take_descriptors)
        with neighbours.at_work(*deeds, lambda: neighbours.fill_the_disk(disk)):
            deadline = time.monotonic() + PATIENCE
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda number: paced(client, number, deadline), range(VERSIONS)))
            while not (neighbours.full and neighbours.starved) and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(NO_DESCRIPTORS_SECONDS + 1)
        stack.wait_ready(120)
        check_plan(client, "chaos_training", range(VERSIONS), Counter(fired=VERSIONS))

    slowest = max(neighbours.seconds)
    told = f"{dict(neighbours.killed)} killed, {len(neighbours.seconds)} answers, the slowest after {slowest:.2f} s"
    logger.info(told)
    assert neighbours.full and neighbours.starved and neighbours.dripping
    assert sum(neighbours.killed.values()) >= 5
    assert slowest < ANSWERS_IN, told


def paced(client: Client, number: int, deadline: float) -> None:
    """Eight clients, each a version a second or so: the publications last as long as what the neighbours do."""
    time.sleep(min(2.0, (5 + FULL_SECONDS + 2 + NO_DESCRIPTORS_SECONDS) * 8 / VERSIONS))
    publish(client, number, deadline)
