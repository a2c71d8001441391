"""Artifact published -> triggered execution exists -> its user function starts, one version at a time."""

from __future__ import annotations

import time

from setup import arguments, bench, show

PROGRAM = """
import time
from causeway import OnArtifact
from flytekit import Artifact, LaunchPlan, task, workflow

Data = Artifact(name="bench-data")

@task
def consume(data: int) -> float:
    return time.time()

@workflow
def consumer(data: int) -> float:
    return consume(data=data)

on_data = LaunchPlan.create("bench_consumer", consumer, trigger=OnArtifact(Data, inputs={"data": Data}))
"""

EXECUTIONS = """
SELECT e.name, extract(epoch FROM v.created_at), extract(epoch FROM e.created_at), extract(epoch FROM t.started_at)
FROM scheduler_triggerfiring f
JOIN artifacts_artifactversion v ON v.id = f.version_id
JOIN scheduler_execution e ON e.id = f.execution_id
LEFT JOIN scheduler_taskexecution t ON t.execution_id = e.id
WHERE e.phase = 4 ORDER BY f.id
"""


def main() -> None:
    args = arguments(__doc__, versions=200, warmup=20, pause=150)
    with bench() as b:
        b.register("bench_reactive", PROGRAM)
        for number in range(args.warmup + args.versions):
            b.client.create("bench-data", number)
            time.sleep(args.pause / 1000)
        total = args.warmup + args.versions
        deadline = time.monotonic() + 60
        while len(rows := b.rows(EXECUTIONS)) < total and time.monotonic() < deadline:
            time.sleep(0.2)
        measured = rows[args.warmup :]
        show("published -> triggered execution exists", [(float(e) - float(v)) * 1000 for _, v, e, _ in measured])
        starts = []
        for name, published, _, _ in measured:
            path = f"executions/{b.client.project}/{b.client.domain}/{name}/outputs"
            starts.append((b.client.connection.call("GET", path)["o0"] - float(published)) * 1000)
        show("published -> user function starts (warm, local)", starts)
        print(f"memory of all processes afterwards (MiB): {b.memory()}")


if __name__ == "__main__":
    main()
