"""Where a peer lives: an environment of its own that is kept, and a folder for all it writes that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import requests
from peers.figures import LINKS, Sizes
from peers.postgres import with_extension
from starting import Up

from console.supervisor.paths import Home
from tests.stack import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 600.0  # seconds


def environment(folder: Path, pins: Sequence[str], constraints: str = "") -> Path:
    """The folder's environment with exactly these releases; it is made anew when they are others than the last time."""
    venv, noted = folder / "venv", folder / "installed.txt"
    wanted = "\n".join([*pins, constraints, sys.version])
    if noted.exists() and noted.read_text() == wanted:
        return venv
    noted.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    command = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *pins]
    if constraints and _answers(constraints):
        command += ["--constraint", constraints]
    elif constraints:
        print(f"{constraints} can not be fetched: pip chooses what the pinned releases need")
    print(f"installing {', '.join(pins)} into {venv}", flush=True)
    subprocess.run(command, check=True)
    noted.write_text(wanted)
    return venv


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except requests.RequestException:
        return False


@dataclass
class Place:
    """A PostgreSQL with Causeway's settings runs here, and what `start` has started."""

    venv: Path
    home: Path
    sizes: Sizes
    extension: str = ""  # of PostgreSQL, that the peer needs
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)  # the environment of every process of the peer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def database(self, scheme: str) -> str:
        """The URL of its database, at PostgreSQL's socket, as ours has it."""
        return f"{scheme}://postgres@/peer?host={Home(self.home).postgres_sockets}"

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database("postgresql")) as connection:
            return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]

    def start(self, *command: str) -> None:
        self._start(self._command(command), self._environment())

    def _start(self, command: list[str], own: dict[str, str]) -> None:
        with self.log.open("ab") as out:  # a session of its own: Ctrl-C is for us, who then stop it in order
            made = subprocess.Popen(command, cwd=self.home, env=own, stdout=out, stderr=out, start_new_session=True)
        self.processes.append(made)

    def call(self, *command: str) -> str:
        """Run it to its end."""
        done = subprocess.run(
            self._command(command), cwd=self.home, env=self._environment(), capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def wait(self, answers: Callable[[], bool], what: str, pause: float = 0.05) -> None:
        deadline = time.monotonic() + PATIENCE
        while not answers():
            ended = [each.args for each in self.processes if each.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise SystemExit(f"{what}: not so; ended: {ended}\n{self.log.read_text()[-3000:]}")
            time.sleep(pause)

    def wait_for(self, path: str) -> None:
        def answers() -> bool:
            try:
                return requests.get(self.url + path, timeout=5).status_code == 200
            except requests.RequestException:
                return False

        self.wait(answers, f"{path} answers", 0.02)

    @property
    def log(self) -> Path:
        return self.home / "log"

    def memory(self) -> tuple[float, dict[str, float]]:
        return Up(self.processes[0], self.home, self.port, self.log, 0.0).memory()

    def _command(self, command: Sequence[str]) -> list[str]:
        return [str(self.venv / "bin" / command[0]), *command[1:]]

    def _environment(self) -> dict[str, str]:
        """`AGAINST`: by it all that it started is found, wherever that has gone."""
        ours = ("CAUSEWAY_", "PYTHON", "DJANGO_", "DATABASE_URL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{self.venv / 'bin'}{os.pathsep}{inherited['PATH']}"
        own = {"PATH": path, "HOME": str(self.home), "AGAINST": str(self.home)}
        sizes = {"BENCH_TASKS": str(self.sizes.tasks), "BENCH_LINKS": str(LINKS)}  # for programs
        return {**inherited, **own, **sizes, **self.settings}

    def begin(self) -> None:
        """Start PostgreSQL, and make the database unless it is there."""
        self.home.mkdir(exist_ok=True)
        module = ["console.supervisor.postgres"]
        if self.extension:
            module = ["peers.postgres", str(with_extension(self.extension))]
            print(f"its PostgreSQL, for {self.extension}: {module[1]}")
        path = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
        own = {**os.environ, "CAUSEWAY_HOME": str(self.home), "PYTHONPATH": path}
        self._start([sys.executable, "-m", *module], own)
        self.wait(self._made, "PostgreSQL answers", 0.02)

    def _made(self) -> bool:
        address = self.database("postgresql").replace("/peer?", "/postgres?")
        try:
            with psycopg.connect(address, autocommit=True) as connection:
                if connection.execute("SELECT FROM pg_database WHERE datname = 'peer'").fetchone() is None:
                    connection.execute("CREATE DATABASE peer")
        except psycopg.OperationalError:
            return False
        return True

    def end(self) -> None:
        """Stop the peer, then whatever is left of it, then PostgreSQL."""
        if not self.processes:
            return
        server, *others = self.processes
        for each in reversed(others):
            each.terminate()
        with suppress(subprocess.TimeoutExpired):
            for each in others:
                each.wait(15)
        for left in psutil.process_iter():
            with suppress(psutil.Error):
                if left.environ().get("AGAINST") == str(self.home):
                    left.kill()
        for each in others:
            each.wait()
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        server.wait(PATIENCE)
        self.processes.clear()


@contextmanager
def place(venv: Path, home: Path, sizes: Sizes, extension: str) -> Iterator[Place]:
    it = Place(venv, home, sizes, extension)
    try:
        it.begin()
        yield it
    finally:
        it.end()


@contextmanager
def folder() -> Iterator[Path]:
    """Others than its owner may pass through it: PostgreSQL's user, where we are root."""
    with tempfile.TemporaryDirectory(prefix="causeway-against-") as path:
        Path(path).chmod(0o711)
        yield Path(path)
