"""The process that a dataset is profiled in: DuckDB and the files that it was given, within limits.

Run as a program of its own; it imports nothing of Causeway and gets no setting or secret of it. The job comes as JSON
on its input: files that are open already, by number. The profile goes as JSON to its output.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from typing import Any

PERCENTILES = [at / 100 for at in range(101)]
TOP = 20  # most frequent values of a column
SHOWN = 200  # characters of one
MOST_COLUMNS = 1000
MOST_DISTINCT = 10_000  # of more different values no frequent ones are looked for
LOCKED = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
NUMBERS: tuple[str, ...] = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "UTINYINT",
)
NUMBERS += ("USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
CATEGORIES = ("VARCHAR", "BOOLEAN", "ENUM", "DATE", "UUID")


def main() -> None:
    job = json.load(sys.stdin)
    room = int(job["memory"]) * 2 + (2 << 30)  # libraries take their share of addresses
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (int(job["seconds"]) * (os.cpu_count() or 1) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import duckdb

    try:
        told = profile(job)
    except (duckdb.Error, ValueError, MemoryError, OSError) as error:
        told = {"problem": " ".join(str(error).splitlines()[0].split()[:60]) or type(error).__name__}
    json.dump(told, sys.stdout)


def profile(job: dict[str, Any]) -> dict[str, Any]:
    import duckdb

    session = duckdb.connect(":memory:")
    session.execute(f"SET memory_limit = '{int(job['memory'])}B'")
    session.execute(f"SET threads = {int(job['threads'])}")
    session.execute(f"CREATE VIEW data AS SELECT * FROM {scan(session, job['files'])}")  # noqa: S608 - paths quoted here
    session.execute(f"SET allowed_paths = [{', '.join(literal(path(file)) for file in job['files'])}]")
    for statement in LOCKED:
        session.execute(statement)
    columns = [(row[0], row[1]) for row in session.execute("DESCRIBE data").fetchall()]
    if len(columns) > MOST_COLUMNS:
        raise ValueError(f"it has {len(columns)} columns; at most {MOST_COLUMNS} are profiled")
    asked = [one for name, kind in columns for one in aggregates(name, kind)]
    found = session.execute(f"SELECT count(*), {', '.join(asked)} FROM data").fetchone()  # noqa: S608 - names quoted here
    if found is None:
        raise ValueError("it could not be counted")
    rows, values = found[0], iter(found[1:])
    described = [told(name, kind, values) for name, kind in columns]
    for column in described:
        if is_category(column["type"]) and column["distinct"] <= MOST_DISTINCT:
            column["top"] = most_frequent(session, column["name"])
    return {"rows": rows, "columns": described}


def most_frequent(session: Any, name: str) -> list[list[Any]]:
    """[value, rows], the most frequent first; of equal ones in the order of the alphabet."""
    text = f"left({quoted(name)}::VARCHAR, {SHOWN})"
    found = session.execute(
        f"SELECT {text}, count(*) FROM data WHERE {quoted(name)} IS NOT NULL "  # noqa: S608 - names quoted here
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {TOP}"
    )
    return [list(row) for row in found.fetchall()]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def scan(session: Any, files: list[int]) -> str:
    heads = [os.pread(file, 8, 0) for file in files]
    paths = [path(file) for file in files]
    listed = f"[{', '.join(map(literal, paths))}]"
    if all(head[:4] == b"PAR1" for head in heads):
        return f"read_parquet({listed}, union_by_name = true)"
    if all(head[:6] == b"ARROW1" for head in heads):
        import pyarrow.dataset as dataset

        session.register("arrow_data", dataset.dataset(paths, format="ipc"))
        return "arrow_data"
    if any(b"\x00" in os.pread(file, 4096, 0) for file in files):
        raise ValueError("only parquet, CSV and Arrow files can be profiled")
    return f"read_csv({listed}, union_by_name = true)"


def path(file: int) -> str:
    return f"/proc/self/fd/{file}" if sys.platform == "linux" else f"/dev/fd/{file}"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def is_number(kind: str) -> bool:
    return kind.startswith(NUMBERS)


def is_category(kind: str) -> bool:
    return kind.startswith(CATEGORIES)


def aggregates(name: str, kind: str) -> list[str]:
    """The expressions of a column: nulls and distinct values always, the rest by its kind (`told` reads them)."""
    column = quoted(name)
    found = [f"count({column})", f"approx_count_distinct({column})"]
    if is_number(kind):
        # Infinite and NaN values are counted as there, and measure nothing.
        real = f"CASE WHEN isfinite({column}::DOUBLE) THEN {column}::DOUBLE END"
        found += [f"{function}({real})" for function in ("min", "max", "avg", "stddev_samp")]
        found.append(f"approx_quantile({real}, {PERCENTILES})")
    return found


def told(name: str, kind: str, values: Any) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "count": next(values), "distinct": next(values)}
    if is_number(kind):
        for key in ("min", "max", "mean", "std"):
            column[key] = finite(next(values))
        column["percentiles"] = [finite(one) for one in next(values) or []]
    return column


def finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


if __name__ == "__main__":
    main()
