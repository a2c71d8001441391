"""No-op tasks in pods that stay, beside benchmarks/pods.py: how long they take, and what an idle pod costs.

Everything goes through Causeway's ordinary doors with unmodified flytekit, on the cluster of KUBECONFIG or
script/cluster. Times are the database's: from an execution's creation to its end. The pods are warm; how long the first
took is said too.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta

from pods import NAMESPACE, stack_on_pods
from setup import Bench, show

from tests.cluster.running import a_cluster

PROGRAM = """
from flytekit import map_task, task, workflow, Resources

@task(requests=Resources(cpu="50m", mem="200Mi"), environment={"CAUSEWAY_REUSE": "1"})
def step(n: int) -> int:
    return n + 1

@task
def numbers(n: int) -> list[int]:
    return list(range(n))

@workflow
def one(n: int = 0) -> int:
    return step(n=n)

@workflow
def chain(n: int = 0) -> int:
    for _ in range(5):
        n = step(n=n)
    return n

@workflow
def many(n: int = 0) -> None:
    for i in range(20):
        step(n=i)

@workflow
def mapped(ns: list[int]) -> None:
    map_task(step)(n=ns)
"""


def run(bench: Bench, workflow: str, **inputs: object) -> float:
    """Seconds from its creation to its end."""
    plan = bench.remote.fetch_launch_plan(name=f"program.bench_reused.{workflow}", version="v1")
    execution = bench.remote.execute(plan, inputs=inputs)
    bench.remote.wait(execution, poll_interval=timedelta(seconds=0.5), timeout=timedelta(minutes=8), sync_nodes=False)
    if execution.error is not None:
        raise SystemExit(f"{workflow} failed: {execution.error.message}")
    query = "SELECT extract(epoch FROM ended_at - created_at) FROM scheduler_execution WHERE name = %s"
    return float(bench.rows(query, execution.id.name)[0][0])  # type: ignore[arg-type]


def idle_cost() -> list[tuple[float, float]]:
    """Of each pod that stays: MB of its own memory, and seconds of CPU in ten seconds."""
    cluster = a_cluster()
    script = (
        "import os,time\n"
        "def of(n):\n  t=open('/proc/1/stat').read().rpartition(')')[2].split(); return int(t[11])+int(t[12])\n"
        "a=of(1);time.sleep(10);b=of(1)\n"
        "rss=[l for l in open('/proc/1/status') if l.startswith('VmRSS')][0].split()[1]\n"
        "print(int(rss)/1024,(b-a)/os.sysconf('SC_CLK_TCK'))"
    )
    found = []
    for pod in cluster.kubectl("get", "pods", "-n", NAMESPACE, "-l", "causeway/pool", "-o", "name").split():
        said = cluster.kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", script)
        memory, cpu = said.split()
        found.append((float(memory), float(cpu)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="of one no-op; of the others a third")
    parser.add_argument("--items", type=int, default=1000, help="of the map; 0: none")
    parser.add_argument("--replicas", type=int, default=20)
    args = parser.parse_args()
    with stack_on_pods("", reuse={"*": {"replicas": args.replicas, "idle_seconds": 300}}) as (bench, _):
        bench.register("bench_reused", PROGRAM, image=a_cluster().environment["CLUSTER_TASK_IMAGE"])
        show("the first no-op: its pod is made", [run(bench, "one", n=0)], unit="s")
        fewer = max(1, args.rounds // 3)
        show("one no-op in all", [run(bench, "one", n=n) for n in range(args.rounds)], unit="s")
        show("chain of 5", [run(bench, "chain", n=n) for n in range(fewer)], unit="s")
        show("20 no-ops at once", [run(bench, "many", n=n) for n in range(fewer)], unit="s")
        time.sleep(1)
        for memory, cpu in idle_cost()[:1]:
            show("an idle pod's memory, the interpreter with flytekit included", [memory], unit="MB")
            show("an idle pod's CPU time in 10 s", [cpu], unit="s")
        for words in ("the first time", "again") if args.items else ():
            seconds = run(bench, "mapped", ns=list(range(args.items)))
            show(f"a map of {args.items}, {words}", [args.items / seconds], unit="items/s")


if __name__ == "__main__":
    sys.exit(main())
