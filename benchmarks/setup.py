"""What every benchmark needs: a running Causeway of its own (or yours), a registered program, figures in one format."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import psycopg
from causeway.client import Client
from flytekit.remote import FlyteRemote
from flytekit.remote.entities import FlyteLaunchPlan

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.stack import RunningStack, running_stack  # noqa: E402

PROJECT, DOMAIN = "flytesnacks", "development"


@dataclass
class Bench:
    stack: RunningStack
    client: Client
    remote: FlyteRemote

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """What the database says; benchmarks read times there, so that reading costs the measured path nothing."""
        url = f"postgresql://postgres@/causeway?host={self.stack.home / 'postgres'}"
        with psycopg.connect(url) as connection:
            return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]

    def register(self, module: str, source: str, version: str = "v1", image: str = "", project: str = PROJECT) -> None:
        """Register a program as `program.<module>`; pyflyte packs the folder above the one it is given."""
        with tempfile.TemporaryDirectory() as above:
            folder = Path(above) / "program"
            folder.mkdir()
            (folder / f"{module}.py").write_text(source)
            command = [str(Path(sys.executable).with_name("pyflyte")), "-c", str(self.stack.flyte_config_file)]
            command += ["register", "-p", project, "--version", version, "--activate-launchplans"]
            command += [*(["--image", image] if image else []), "."]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"registration failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def run(self, plan: FlyteLaunchPlan, inputs: dict[str, object] | None = None) -> float:
        """Launch, wait for success, and return the seconds from creation to end as the database has them."""
        execution = self.remote.execute(plan, inputs=inputs or {})
        self.remote.wait(execution, poll_interval=timedelta(milliseconds=200), sync_nodes=False)
        times = "extract(epoch FROM ended_at) - extract(epoch FROM created_at)"
        found = self.rows(
            f"SELECT {times} FROM scheduler_execution WHERE name = %s AND phase = 4",  # noqa: S608
            execution.id.name,
        )
        return float(found[0][0])  # type: ignore[arg-type]

    def memory(self) -> dict[str, int]:
        """Resident and proportional set size of all its processes, MiB."""
        rss = pss = 0
        for pid in self.stack.pids().values():
            process = psutil.Process(pid)
            for each in [process, *process.children(recursive=True)]:
                try:
                    full = each.memory_full_info()
                except psutil.Error:
                    continue
                rss += full.rss
                pss += full.pss
        return {"rss": rss >> 20, "pss": pss >> 20}


@contextmanager
def bench(**environment: str) -> Iterator[Bench]:
    """`environment`: settings of the Causeway that is started."""
    with (
        tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder,
        running_stack(Path(folder) / "h", **environment) as stack,
    ):
        remote = FlyteRemote(stack.flyte_config(), default_project=PROJECT, default_domain=DOMAIN)
        yield Bench(stack, Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN), remote)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(name: str, values: Sequence[float], unit: str = "ms") -> None:
    """One line: median, p95, maximum and how many were measured."""
    print(
        f"{name:<52} p50 {statistics.median(values):9.2f} {unit}   p95 {percentile(values, 0.95):9.2f} {unit}"
        f"   max {max(values):9.2f} {unit}   n {len(values)}"
    )


def arguments(description: str | None, **defaults: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args()
