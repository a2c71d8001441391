"""Thousands of launches against a quota of ten in one project: what another project's users notice of it.

In one run: before, while they are launched, and while they wait. Of each: a launch over REST → its user function
starts, and pages of the console. `before` is what the others are compared with.
"""

from __future__ import annotations

import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from causeway.client import Client
from map import Meter
from setup import DOMAIN, PROJECT, Bench, arguments, bench, percentile, show

STORM = "storm"
PROGRAM = """
import time
from flytekit import task, workflow

@task
def begin() -> float:
    return time.time()

@task
def work(seconds: float) -> float:
    time.sleep(seconds)
    return time.time()

@workflow
def quick() -> float:
    return begin()

@workflow
def slow(seconds: float) -> float:
    return work(seconds=seconds)
"""
ROWS = 50
PAGES = {
    "home": "",
    "executions of the other project": f"executions/?project={PROJECT}",
    "executions of the storm": f"executions/?project={STORM}",
    "queue and quotas": "quotas/",
}
Figures = dict[str, list[float]]


def launches(b: Bench, count: int) -> list[float]:
    """Milliseconds from the request to the user's function, one after the other."""
    found = []
    for _ in range(count):
        began = time.time()
        execution = b.client.launch("program.bench_storm.quick", wait=60)
        path = f"executions/{PROJECT}/{DOMAIN}/{execution['name']}/outputs"
        found.append((b.client.connection.call("GET", path)["o0"] - began) * 1000)
        time.sleep(0.1)
    return found


def pages(b: Bench, session: requests.Session, count: int) -> Figures:
    """Milliseconds of each page."""
    found: Figures = {name: [] for name in PAGES}
    for _ in range(count):
        for name, path in PAGES.items():
            began = time.monotonic()
            answer = session.get(f"{b.stack.http_url}/{path}", timeout=60)
            answer.raise_for_status()
            found[name].append((time.monotonic() - began) * 1000)
    return found


def look(b: Bench, session: requests.Session, probes: int) -> Figures:
    return {"launch -> user function": launches(b, probes), **pages(b, session, max(5, probes // 2))}


def fill(b: Bench) -> None:
    """Lists have as many rows before as they have later: a page of both projects' executions that have ended."""
    for project in (PROJECT, STORM):
        client = Client(b.stack.http_url, b.stack.admin_token, project, DOMAIN)
        for one in [client.launch("program.bench_storm.quick") for _ in range(ROWS)]:
            client.wait(one, 120)


def signed_in(b: Bench) -> requests.Session:
    session = requests.Session()
    (link,) = re.findall(r"http\S+", b.stack.manage("login_link"))
    session.get(link, timeout=30).raise_for_status()
    return session


class Storm:
    """Launches by several clients at a time, which begin at once."""

    def __init__(self, b: Bench, count: int, threads: int, seconds: float) -> None:
        self.began, self.seconds = time.monotonic(), seconds
        self.took = 0.0  # until the last was launched
        pool = ThreadPoolExecutor(threads)
        shares = [count // threads + (number < count % threads) for number in range(threads)]
        self._clients = [pool.submit(self._launch, b, share) for share in shares]

    def _launch(self, b: Bench, share: int) -> None:
        client = Client(b.stack.http_url, b.stack.admin_token, STORM, DOMAIN)
        for _ in range(share):
            client.launch("program.bench_storm.slow", {"seconds": float(self.seconds)})
        self.took = max(self.took, time.monotonic() - self.began)

    def is_over(self) -> bool:
        """Raises what a launch raised."""
        return all(client.done() and client.result() is None for client in self._clients)


def compare(name: str, before: Figures, during: Figures) -> None:
    print(f"{name}:")
    for what, values in during.items():
        show(f"  {what}", values)
        ratio = percentile(values, 0.95) / percentile(before[what], 0.95)
        print(f"    p95 {ratio:.2f}x of before")


def burnt(meter: Meter, before: dict[str, float], began: float) -> tuple[dict[str, float], float]:
    """Print what each part has used since; returns where to begin the next time."""
    now, spent = time.monotonic(), meter.cpu()
    parts = {part: (spent[part] - before.get(part, 0.0)) / (now - began) for part in spent}
    told = ", ".join(f"{part} {share:.2f}" for part, share in sorted(parts.items()) if share > 0.005)
    print(f"  CPU, in cores of this machine: {told}")
    return spent, now


def main() -> None:
    args = arguments(__doc__, launches=5000, quota=10, probes=40, threads=2, seconds=5, warmup=10)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what was measured stays if it is ended
    with bench() as b:
        b.client.connection.call("POST", "projects", json={"id": STORM, "name": "Storm"})
        for project in (PROJECT, STORM):
            b.register("bench_storm", PROGRAM, project=project)
        fill(b)
        b.client.quotas.set("executions", args.quota, project=STORM)
        session = signed_in(b)
        look(b, session, args.warmup)
        meter = Meter(b)
        spent, began = meter.cpu(), time.monotonic()
        before = look(b, session, args.probes)
        compare("before", before, before)
        spent, began = burnt(meter, spent, began)
        storm, during = Storm(b, args.launches, args.threads, args.seconds), dict[str, list[float]]()
        while not storm.is_over():
            for name, values in look(b, session, 5).items():
                during.setdefault(name, []).extend(values)
        rate = args.launches / storm.took
        compare(f"while {args.launches} are launched ({rate:.0f} a second for {storm.took:.0f} s)", before, during)
        spent, began = burnt(meter, spent, began)
        running = b.rows(
            "SELECT count(*) FROM scheduler_execution WHERE project = %s AND waits_since IS NOT NULL", STORM
        )
        compare(f"while {running[0][0]} of them wait", before, look(b, session, args.probes))
        burnt(meter, spent, began)
        print(f"memory of all processes afterwards (MiB): {b.memory()}")


if __name__ == "__main__":
    main()
