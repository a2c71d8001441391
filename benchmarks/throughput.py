"""No-op tasks a second: one workflow of many independent tasks, each a process of its own, all state persisted.

`--reuse 1`: the tasks allow that one process runs them one after the other.
"""

from __future__ import annotations

from setup import arguments, bench

PROGRAM = """
from flytekit import task, workflow

@task{options}
def nothing(n: int) -> int:
    return n

@workflow
def many() -> None:
    for n in range({tasks}):
        nothing(n=n)
"""


def main() -> None:
    args = arguments(__doc__, tasks=400, rounds=3, reuse=0)
    options = '(environment={"CAUSEWAY_REUSE": "1"})' if args.reuse else ""
    with bench() as b:
        b.register("bench_throughput", PROGRAM.format(tasks=args.tasks, options=options))
        plan = b.remote.fetch_launch_plan(name="program.bench_throughput.many", version="v1")
        for number in range(args.rounds + 1):
            seconds = b.run(plan)
            label = "warm-up" if number == 0 else f"round {number}"
            print(f"{label}: {args.tasks} tasks in {seconds:.2f} s: {args.tasks / seconds:.1f} a second")
        print(f"memory of all processes afterwards (MiB): {b.memory()}")


if __name__ == "__main__":
    main()
