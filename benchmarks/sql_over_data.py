"""SQL over the data of a version of 1 GB of parquet, beside DuckDB alone over the same files, in turn.

DuckDB alone is a Python of its own for each query, as a person's script would be: it starts, imports DuckDB, reads.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from setup import PROJECT, Bench, arguments, bench, show

FILL = """
COPY (
    SELECT range AS id, 'region-' || (hash(range) % 20) AS region, (hash(range * 3) % 1000000) / 100.0 AS amount,
        timestamp '2026-01-01' + to_seconds(range % 31536000) AS happened, md5(range::text) AS note
    FROM range({first}, {last})
) TO '{path}' (FORMAT parquet)
"""
QUERIES = {
    "count": "SELECT count(*) FROM {table}",
    "sum by region": "SELECT region, count(*), sum(amount) FROM {table} GROUP BY 1 ORDER BY 1",
    "a day": "SELECT region, avg(amount) FROM {table} WHERE happened BETWEEN '2026-03-01' AND '2026-03-02' GROUP BY 1",
    "texts read": "SELECT count(*) FROM {table} WHERE note LIKE 'abc%'",
    "most of a sort": "SELECT id, amount FROM {table} ORDER BY amount DESC, id LIMIT 100",
    "10,000 rows out": "SELECT * FROM {table} WHERE id % 997 = 0 LIMIT 10000",
}
ALONE = "import duckdb, sys; duckdb.sql(sys.argv[1]).to_arrow_table()"


def alone(query: str, files: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", ALONE, query.format(table=f"read_parquet('{files}')")], check=True)
    return (time.monotonic() - began) * 1000


def through(running: Bench, query: str) -> float:
    body = {
        "sql": query.format(table="artifact('lake')"),
        "project": PROJECT,
        "domain": "development",
        "format": "arrow",
    }
    began = time.monotonic()
    running.client.connection.raw("POST", "sql", json=body, timeout=300)
    return (time.monotonic() - began) * 1000


def main() -> None:
    asked = arguments(__doc__, rows=22_000_000, files=8, tries=5)
    import duckdb

    with tempfile.TemporaryDirectory(prefix="causeway-lake-") as folder, bench() as running:
        each = asked.rows // asked.files
        for number in range(asked.files):
            path = f"{folder}/part-{number}.parquet"
            duckdb.execute(FILL.format(first=number * each, last=(number + 1) * each, path=path))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        running.client.create("lake", directory=folder, kind="dataset")
        print(f"{size / 1024**3:.2f} GiB of parquet in {asked.files} files, {asked.rows} rows", flush=True)
        for name, query in QUERIES.items():
            took: dict[str, list[float]] = {"DuckDB": [], "Causeway": []}
            for _ in range(asked.tries):
                took["DuckDB"].append(alone(query, f"{folder}/*.parquet"))
                took["Causeway"].append(through(running, query))
            for who, values in took.items():
                show(f"{name}: {who}", values)
            print(f"  best to best {min(took['Causeway']) / min(took['DuckDB']):.2f}x", flush=True)


if __name__ == "__main__":
    main()
