"""A map over no-op items: seconds, items a second, CPU an item, and memory of workers, executor and web meanwhile."""

from __future__ import annotations

import threading
import time

import psutil
from setup import Bench, arguments, bench

PROGRAM = """
from flytekit import map_task, task, workflow

@task
def nothing(n: int) -> int:
    return n

@task
def numbers(size: int) -> list[int]:
    return list(range(size))

@workflow
def mapping(size: int) -> list[int]:
    return map_task(nothing{options})(n=numbers(size=size))
"""


class Meter(threading.Thread):
    """CPU seconds and the highest resident size (MiB) of each process with its children, while it runs."""

    def __init__(self, b: Bench) -> None:
        super().__init__(daemon=True)
        self.pids = b.stack.pids()
        self.highest: dict[str, int] = {}
        self.over = threading.Event()
        self.began = self.cpu()

    def run(self) -> None:
        while not self.over.wait(0.5):
            for name, pid in self.pids.items():
                size = psutil.Process(pid).memory_info().rss >> 20
                self.highest[name] = max(size, self.highest.get(name, 0))

    def cpu(self) -> dict[str, float]:
        """Seconds each process and all below it have used, those that have ended included."""
        spent = {}
        for name, pid in self.pids.items():
            if name == "supervisor":  # all the others are below it
                continue
            total = 0.0
            for each in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                try:
                    total += sum(each.cpu_times()[:4])
                except psutil.Error:
                    continue
            spent[name] = total
        return spent

    def stop(self, items: int) -> str:
        self.over.set()
        self.join()
        spent = {name: (seconds - self.began[name]) * 1000 / items for name, seconds in self.cpu().items()}
        each = ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(spent.items()) if ms >= 0.05)
        return f"CPU ms an item: {sum(spent.values()):.1f} ({each})"


def main() -> None:
    args = arguments(__doc__, items=1000, many=5000, concurrency=-1)
    options = f", concurrency={args.concurrency}" if args.concurrency >= 0 else ""
    with bench() as b:
        b.register("bench_map", PROGRAM.format(options=options))
        plan = b.remote.fetch_launch_plan(name="program.bench_map.mapping", version="v1")
        b.run(plan, {"size": 50})
        for items in (args.items, args.many):
            if not items:
                continue
            before = {name: psutil.Process(pid).memory_info().rss >> 20 for name, pid in b.stack.pids().items()}
            meter = Meter(b)
            meter.start()
            seconds = b.run(plan, {"size": items})
            time.sleep(1)
            print(f"{items} items in {seconds:.2f} s: {items / seconds:.0f} a second; {meter.stop(items)}")
            told = ", ".join(f"{name} {before[name]} -> {size}" for name, size in sorted(meter.highest.items()))
            print(f"  resident MiB before -> highest: {told}")


if __name__ == "__main__":
    main()
