"""Two builds, or more, in turn on one machine: no-op tasks, and published version -> user function, as ratios.

`python benchmarks/in_turn.py OLD_CHECKOUT NEW_CHECKOUT`, each a checkout with its `.venv`. All of them run at once and
are asked one after the other, round by round, so that a machine that grows slower meanwhile does so for each. CPU is
that of the stack's processes with all below them (the executor with zygotes and tasks), as that build's map.py counts.

`CHECKOUT+quotas`: that build with a quota of every kind on the benchmark's project, none of which is used up. The same
checkout may stand twice.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

Figures = dict[str, Any]
QUOTAS = {
    "executions": 1000,
    "attempts": 1000,
    "cpu": 1000,
    "memory": "10Ti",
    "nvidia.com/gpu": 100,
    "launches": 100_000,
}


class Asked:
    """A build that runs, in an interpreter of its own, and does what it is asked."""

    def __init__(self, given: str, tasks: int) -> None:
        path, _, self.extra = given.partition("+")
        root = Path(path).resolve()
        command = [str(root / ".venv/bin/python"), str(Path(__file__).resolve()), "--serve", str(tasks)]
        command += [f"{root}+{self.extra}"]
        self.root = root
        self.process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise SystemExit("pipes were asked for")
        self.requests, self.answers = self.process.stdin, self.process.stdout
        self._read()

    def ask(self, what: str) -> Figures:
        print(what, file=self.requests, flush=True)
        return self._read()

    def _read(self) -> Figures:
        line = self.answers.readline()
        if not line:
            raise SystemExit(f"{self.root}: it ended, status {self.process.wait()}; run benchmarks/throughput.py there")
        figures: Figures = json.loads(line)
        return figures

    def end(self) -> None:
        self.requests.close()
        self.process.wait()


def serve(root: Path, tasks: int, *, quotas: bool) -> None:
    """What runs in the build's own interpreter: one line of JSON for every line that asks."""
    sys.path[:0] = [str(root / "benchmarks"), str(root)]
    import reactive  # that build's
    import throughput
    from map import Meter
    from setup import bench

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with bench() as b:
        b.register("bench_throughput", throughput.PROGRAM.format(tasks=tasks, options=""))
        b.register("bench_reactive", reactive.PROGRAM)
        for resource, limit in QUOTAS.items() if quotas else ():
            b.client.quotas.set(resource, limit, project=b.client.project)
        meter, plan = Meter(b), b.remote.fetch_launch_plan(name="program.bench_throughput.many", version="v1")
        b.run(plan)
        _publish(b, 5, reactive.EXECUTIONS)
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            what, _, number = line.strip().partition(" ")
            found = _tasks(b, meter, plan, tasks) if what == "tasks" else _publish(b, int(number), reactive.EXECUTIONS)
            print(json.dumps(found), file=answers, flush=True)


def _tasks(b: Any, meter: Any, plan: Any, tasks: int) -> Figures:
    before = meter.cpu()
    seconds = b.run(plan)
    time.sleep(0.3)  # for the last children to be collected
    spent = {part: (value - before[part]) * 1000 / tasks for part, value in meter.cpu().items()}
    return {"rate": tasks / seconds, "cpu": spent}


def _publish(b: Any, versions: int, executions: str) -> Figures:
    """Milliseconds from a version's publication to its triggered execution, and to the user's function."""
    had = len(b.rows(executions))
    for number in range(versions):
        b.client.create("bench-data", had + number)
        time.sleep(0.15)
    deadline = time.monotonic() + 60
    while len(rows := b.rows(executions)) < had + versions and time.monotonic() < deadline:
        time.sleep(0.1)
    exists, starts = [], []
    for name, published, created, _ in rows[had:]:
        exists.append((float(created) - float(published)) * 1000)
        outputs = b.client.connection.call("GET", f"executions/{b.client.project}/{b.client.domain}/{name}/outputs")
        starts.append((outputs["o0"] - float(published)) * 1000)
    return {"exists": exists, "starts": starts}


def show(name: str, rounds: Sequence[tuple[float, float]], unit: str, out: TextIO = sys.stdout) -> None:
    """`rounds`: the first build's figure and this one's; the ratio is the median of the rounds' own."""
    ratio = statistics.median(mine / first for first, mine in rounds)
    print(f"  {name:<28} {statistics.median(mine for _, mine in rounds):9.2f} {unit:<10} {ratio:6.3f}x", file=out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="+", metavar="CHECKOUT", help="the first is what others are compared with")
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    parser.add_argument("--tasks", type=int, default=150, help="of a round, default 150")
    parser.add_argument("--versions", type=int, default=15, help="published in a round, default 15")
    parser.add_argument("--serve", type=int, metavar="TASKS", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        root, _, extra = args.checkouts[0].partition("+")
        serve(Path(root), args.serve, quotas=extra == "quotas")
        return
    builds = [Asked(given, args.tasks) for given in args.checkouts]
    told: dict[Asked, list[Figures]] = defaultdict(list)
    for number in range(args.rounds):
        for build in builds if number % 2 == 0 else builds[::-1]:
            told[build].append({**build.ask("tasks"), **build.ask(f"versions {args.versions}")})
    for build in builds:
        build.end()
        print(build.root, build.extra)
        pairs = list(zip(told[builds[0]], told[build], strict=True))
        show("no-op tasks", [(first["rate"], mine["rate"]) for first, mine in pairs], "a second")
        show("CPU of a task", [(sum(first["cpu"].values()), sum(mine["cpu"].values())) for first, mine in pairs], "ms")
        for part in sorted(pairs[0][0]["cpu"]):
            if all(figures["cpu"].get(part, 0) > 0.05 for pair in pairs for figures in pair):
                show(f"  {part}", [(first["cpu"][part], mine["cpu"][part]) for first, mine in pairs], "ms")
        for name, key in (("published -> execution", "exists"), ("published -> user function", "starts")):
            medians = [(statistics.median(first[key]), statistics.median(mine[key])) for first, mine in pairs]
            show(name, medians, "ms (p50)")


if __name__ == "__main__":
    main()
