"""A chain of no-op tasks, each needing the one before: what a step costs from end to end."""

from __future__ import annotations

from setup import arguments, bench, show

PROGRAM = """
from flytekit import task, workflow

@task
def step(n: int) -> int:
    return n + 1

@workflow
def chain(n: int = 0) -> int:
    for _ in range({steps}):
        n = step(n=n)
    return n
"""


def main() -> None:
    args = arguments(__doc__, steps=20, rounds=15)
    with bench() as b:
        b.register("bench_chain", PROGRAM.format(steps=args.steps))
        plan = b.remote.fetch_launch_plan(name="program.bench_chain.chain", version="v1")
        seconds = [b.run(plan) for _ in range(args.rounds + 2)]
        show(f"chain of {args.steps} no-op tasks", seconds[2:], unit="s")


if __name__ == "__main__":
    main()
