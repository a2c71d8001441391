"""How long `script/up` takes until doors answer, and the memory of all its processes: builds in turn, as ratios.

`python benchmarks/starting.py OLD_CHECKOUT NEW_CHECKOUT`, each a checkout with its `.venv`; one alone is measured too.
Each round starts each build four times, one after the other:

- first start, nothing compiled: a new data directory, and an empty folder as the interpreter's cache of modules
- first start, compiled: a new data directory
- second start: the same directory; 20 s later the memory of the idle set-up
- with the demo (`--no-demo 1`: not): the same directory again; memory 40 s after it has only an approval to wait for

Memory is proportional (PSS), of `script/up` and every process below it, also of those that have a parent of their own.
CPU is that of the same processes until every door answers.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.stack import free_port  # noqa: E402

PATIENCE = 180.0  # seconds
IDLE, RESTED = 20.0, 40.0  # seconds until an idle set-up is looked at, and one whose last task has ended
Figures = dict[str, float]


@dataclass
class Up:
    """A `script/up` that runs."""

    process: subprocess.Popen[bytes]
    home: Path
    http: int
    log: Path
    began: float

    def since(self, answers: Callable[[], bool]) -> float:
        """Seconds from the start until that is so."""
        while not answers():
            if self.process.poll() is not None or time.monotonic() - self.began > PATIENCE:
                raise SystemExit(f"script/up did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.01)
        return time.monotonic() - self.began

    def console(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://localhost:{self.http}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def told(self, words: str) -> bool:
        return words in self.log.read_text()

    def processes(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.pid == self.process.pid or str(self.home) in " ".join(
                    [*each.cmdline(), *each.environ().values()]
                ):
                    found |= {one.pid: one for one in [each, *each.children(recursive=True)]}
        return list(found.values())

    def memory(self) -> tuple[float, dict[str, float]]:
        """MB in all, and of each process by what it says it is."""
        parts: dict[str, float] = defaultdict(float)
        for each in self.processes():
            with suppress(psutil.Error):
                parts[_name(each)] += each.memory_full_info().pss / 1e6
        return sum(parts.values()), parts

    def cpu(self) -> float:
        spent = 0.0
        for each in self.processes():
            with suppress(psutil.Error):
                times = each.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
        return spent


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    # script/up comes first: it says its ports, and one of them is that of rpc
    kinds = ["supervisor.up", "watching", "postgres", "valkey", "zygote", "gunicorn", "rpc", "celery", "executor"]
    kinds.append("supervisor")
    return next((kind for kind in kinds if any(kind in word for word in words)), " ".join(words)[:30] or process.name())


@contextmanager
def up(root: Path, home: Path, *options: str, compiled: Path | None = None) -> Iterator[Up]:
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("CAUSEWAY_", "PYTHON", "DJANGO_"))
    }
    if compiled is not None:
        ours["PYTHONPYCACHEPREFIX"] = str(compiled)
    http, grpc = _ports(home)
    log = home.with_suffix(".log")
    command = [str(root / "script/up"), "--home", str(home), "--http-port", str(http), "--grpc-port", str(grpc)]
    with log.open("wb") as out:
        began = time.monotonic()
        process = subprocess.Popen([*command, *options], cwd=root, env=ours, stdout=out, stderr=out)
    try:
        yield Up(process, home, http, log, began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _ports(home: Path) -> tuple[int, int]:
    """The same at every start of a data directory: with others it would be prepared anew."""
    noted = home.with_suffix(".ports")
    if not noted.exists():
        noted.write_text(f"{free_port()} {free_port()}")
    http, grpc = noted.read_text().split()
    return int(http), int(grpc)


def start(root: Path, home: Path, name: str, *, compiled: Path | None = None) -> Figures:
    with up(root, home, "--no-demo", compiled=compiled) as it:
        console = it.since(it.console)
        doors = it.since(lambda: it.told("  log in  "))
        return {f"{name}: console answers": console, f"{name}: every door": doors, f"{name}: CPU": it.cpu()}


def idle(root: Path, home: Path, show: bool) -> Figures:
    with up(root, home, "--no-demo") as it:
        console = it.since(it.console)
        doors = it.since(lambda: it.told("  log in  "))
        spent = it.cpu()
        time.sleep(IDLE)
        memory = _memory(it, show)
    told = {"console answers": console, "every door": doors, "CPU": spent}
    return {**{f"second start: {what}": value for what, value in told.items()}, "memory, idle": memory}


def demo(root: Path, home: Path, show: bool) -> Figures:
    with up(root, home) as it:
        it.since(lambda: it.told("  log in  "))
        deadline = time.monotonic() + PATIENCE
        while not _has_ended(home):
            if time.monotonic() > deadline:
                raise SystemExit(f"{root}: the demo's executions do not end")
            time.sleep(0.5)
        time.sleep(RESTED)
        return {"memory, after the demo": _memory(it, show)}


def _memory(it: Up, show: bool) -> float:
    memory, parts = it.memory()
    if show:
        print("   ", ", ".join(f"{name} {value:.0f}" for name, value in sorted(parts.items())), flush=True)
    return memory


def _has_ended(home: Path) -> bool:
    """Whether the demo's dataset and training are done; the evaluation then waits for a person's approval."""
    query = "SELECT count(*), count(*) FILTER (WHERE ended_at IS NULL) FROM scheduler_execution"
    with psycopg.connect(f"postgresql://postgres@/causeway?host={home / 'postgres'}") as connection:
        found, running = connection.execute(query).fetchone() or (0, 0)
    return found >= 3 and running <= 1


def measure(root: Path, *, with_demo: bool, show: bool) -> Figures:
    with tempfile.TemporaryDirectory(prefix="causeway-start-") as folder:
        Path(folder).chmod(0o711)
        compiled = Path(folder) / "compiled"
        figures = start(root, Path(folder) / "cold", "first start, nothing compiled", compiled=compiled)
        figures |= start(root, Path(folder) / "home", "first start, compiled")
        figures |= idle(root, Path(folder) / "home", show)
        return {**figures, **(demo(root, Path(folder) / "home", show) if with_demo else {})}


def table(builds: Sequence[Path], told: dict[Path, list[Figures]]) -> None:
    print(f"{'':<48}" + "".join(f"{build.name:>12}" for build in builds) + f"{'ratio':>10}")
    for name in told[builds[0]][0]:
        medians = [statistics.median(figures[name] for figures in told[build]) for build in builds]
        unit = "MB" if name.startswith("memory") else "s"
        ratio = statistics.median(
            mine[name] / first[name] for first, mine in zip(told[builds[0]], told[builds[-1]], strict=True)
        )
        print(f"{name:<48}" + "".join(f"{value:9.2f} {unit:<2}" for value in medians) + f"{ratio:9.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT", help="the first is compared with")
    parser.add_argument("--rounds", type=int, default=1, help="default 1")
    parser.add_argument("--no-demo", action="store_true", help="leave out the memory after the demo")
    parser.add_argument("--parts", action="store_true", help="print the memory of each process as well")
    args = parser.parse_args()
    builds = [one.resolve() for one in args.checkouts]
    told: dict[Path, list[Figures]] = defaultdict(list)
    for number in range(args.rounds):
        for build in builds if number % 2 == 0 else builds[::-1]:
            told[build].append(measure(build, with_demo=not args.no_demo, show=args.parts))
            print(f"{build.name}, round {number + 1}, load {os.getloadavg()[0]:.1f}", flush=True)
    table(builds, told)


if __name__ == "__main__":
    main()
