"""Version published -> its check said so -> the alias moved -> the launch plan on the alias launched; and a profile."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from setup import arguments, bench, show

PROGRAM = """
import time
from causeway import OnAlias
from flytekit import Artifact, LaunchPlan, task, workflow

Model = Artifact(name="bench-model")

@task
def serve(model: int) -> float:
    return time.time()

@workflow
def deploy(model: int) -> float:
    return serve(model=model)

on_champion = LaunchPlan.create("bench_deploy", deploy, trigger=OnAlias(Model, "champion", inputs={"model": Model}))
"""

# Of each version, when it was published, when its check passed, when the alias moved to it, when that launched.
TIMES = """
SELECT extract(epoch FROM v.created_at), extract(epoch FROM c.at), extract(epoch FROM m.at),
       extract(epoch FROM e.created_at)
FROM scheduler_triggerfiring f
JOIN artifacts_happening m ON m.id = f.happening_id AND m.kind = 'alias.moved'
JOIN artifacts_happening c ON c.id = m.cause_id
JOIN artifacts_artifactversion v ON v.id = f.version_id
JOIN scheduler_execution e ON e.id = f.execution_id
ORDER BY f.id
"""
PROFILES = "SELECT seconds FROM artifacts_versionprofile ORDER BY id"


def main() -> None:
    args = arguments(__doc__, versions=200, warmup=20, pause=150, rows=1_000_000, columns=20)
    with bench() as b:
        b.register("bench_governance", PROGRAM)
        b.client.create("bench-model", 0, metrics={"auc": 0.1})
        b.client.governance.set_check("bench-model", "good", "metric", metric="auc", at_least=0.5)
        b.client.governance.set_policy("bench-model", "champion", checks=["good"], automatic=True)
        total = args.warmup + args.versions
        for number in range(total):
            b.client.create("bench-model", number, metrics={"auc": 0.9})
            time.sleep(args.pause / 1000)
        deadline = time.monotonic() + 60
        while len(rows := b.rows(TIMES)) < total and time.monotonic() < deadline:
            time.sleep(0.2)
        for name, place in (("check said so", 1), ("alias moved", 2), ("execution on the alias exists", 3)):
            measured = [(float(row[place]) - float(row[0])) * 1000 for row in rows[args.warmup :]]  # type: ignore[arg-type]
            show(f"published -> {name}", measured)
        with tempfile.TemporaryDirectory() as folder:
            b.client.create("bench-table", file=_table(Path(folder), args.rows, args.columns), shape="dataset")
        b.client.governance.set_check("bench-table", "many", "rows", at_least=1)
        deadline = time.monotonic() + 120
        while not (found := b.rows(PROFILES)) and time.monotonic() < deadline:
            time.sleep(0.2)
        print(f"profile of {args.rows} rows by {args.columns} columns: {[f'{row[0]:.2f} s' for row in found]}")


def _table(folder: Path, rows: int, columns: int) -> Path:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = np.random.default_rng(7)
    names = [f"c{number}" for number in range(columns)]
    path = folder / "table.parquet"
    pq.write_table(pa.table({name: source.normal(size=rows) for name in names}), path)
    return path


if __name__ == "__main__":
    main()
