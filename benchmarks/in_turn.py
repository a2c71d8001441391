"""Two builds, or more, in turn on one machine, as ratios: no-op tasks, a process each and in processes used again,
maps, chains, and published version -> user function.

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

PROGRAMS = {
    "tasks": "bench_throughput.many",
    "shared": "bench_shared.many",
    "map": "bench_map.mapping",
    "chain": "bench_chain.chain",
}
NAMES = {"tasks": "no-op tasks", "shared": "... in processes used again", "map": "items of a map", "chain": "a chain"}
STEPS = 20


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
    import chain  # that build's
    import map as mapping
    import reactive
    import throughput
    from map import Meter
    from setup import bench

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with bench() as b:
        shared = '(environment={"CAUSEWAY_REUSE": "1"})'
        b.register("bench_throughput", throughput.PROGRAM.format(tasks=tasks, options=""))
        b.register("bench_shared", throughput.PROGRAM.format(tasks=tasks, options=shared))
        b.register("bench_map", mapping.PROGRAM.format(options=""))
        b.register("bench_chain", chain.PROGRAM.format(steps=STEPS))
        b.register("bench_reactive", reactive.PROGRAM)
        for resource, limit in QUOTAS.items() if quotas else ():
            b.client.quotas.set(resource, limit, project=b.client.project)
        meter = Meter(b)
        plans = {
            kind: b.remote.fetch_launch_plan(name=f"program.{name}", version="v1") for kind, name in PROGRAMS.items()
        }
        for kind in PROGRAMS:
            _ran(b, meter, plans[kind], kind, tasks)
        published(b, 5, reactive.EXECUTIONS)
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            what, _, number = line.strip().partition(" ")
            if what == "versions":
                found = published(b, int(number), reactive.EXECUTIONS)
            else:
                found = _ran(b, meter, plans[what], what, int(number))
            print(json.dumps(found), file=answers, flush=True)


def _ran(b: Any, meter: Any, plan: Any, kind: str, tasks: int) -> Figures:
    """Of a chain, which is as long as it was written, seconds; of others how many a second."""
    before = meter.cpu()
    seconds = b.run(plan, {"size": tasks} if kind == "map" else {})
    time.sleep(0.3)  # for the last children to be collected
    count = STEPS if kind == "chain" else tasks
    spent = {part: (value - before[part]) * 1000 / count for part, value in meter.cpu().items()}
    return {"seconds": seconds, "rate": count / seconds, "cpu": spent}


def published(b: Any, versions: int, executions: str) -> Figures:
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
    parser.add_argument("--items", type=int, default=300, help="of a round's map, default 300")
    parser.add_argument("--versions", type=int, default=15, help="published in a round, default 15; 0: none")
    parser.add_argument(
        "--kinds", nargs="*", choices=list(PROGRAMS), default=list(PROGRAMS), help="what is run, default all"
    )
    parser.add_argument("--serve", type=int, metavar="TASKS", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        root, _, extra = args.checkouts[0].partition("+")
        serve(Path(root), args.serve, quotas=extra == "quotas")
        return
    builds = [Asked(given, args.tasks) for given in args.checkouts]
    told: dict[Asked, list[dict[str, Figures]]] = defaultdict(list)
    for number in range(args.rounds):
        for build in builds if number % 2 == 0 else builds[::-1]:
            found = {kind: build.ask(f"{kind} {args.items if kind == 'map' else args.tasks}") for kind in args.kinds}
            if args.versions:
                found["versions"] = build.ask(f"versions {args.versions}")
            told[build].append(found)
    for build in builds:
        build.end()
        print(build.root, build.extra)
        pairs = list(zip(told[builds[0]], told[build], strict=True))
        for kind in args.kinds:
            _show_ran(kind, [(first[kind], mine[kind]) for first, mine in pairs])
        for name, label in (("exists", "published -> execution"), ("starts", "published -> user function")):
            if args.versions:
                both = [(first["versions"][name], mine["versions"][name]) for first, mine in pairs]
                show(label, [(statistics.median(first), statistics.median(mine)) for first, mine in both], "ms p50")


def _show_ran(kind: str, pairs: Sequence[tuple[Figures, Figures]]) -> None:
    what, unit = ("seconds", "s") if kind == "chain" else ("rate", "a second")
    show(NAMES[kind], [(first[what], mine[what]) for first, mine in pairs], unit)
    spent = [(first["cpu"], mine["cpu"]) for first, mine in pairs]
    show("  CPU of one", [(sum(first.values()), sum(mine.values())) for first, mine in spent], "ms")
    for part in sorted(spent[0][0]):
        if all(cpu.get(part, 0) > 0.05 for pair in spent for cpu in pair):
            show(f"    {part}", [(first[part], mine[part]) for first, mine in spent], "ms")


if __name__ == "__main__":
    main()
