"""The process that a query runs in: DuckDB, the files that it was given, and nothing else.

Run as a program of its own; it imports nothing of Causeway and gets no setting or secret of it. The job comes as JSON
on its input; files are open already, under their numbers. What came of it goes as JSON to its output, the rows to the
file it was given.
"""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import resource
import sys
from collections.abc import Iterable, Iterator
from typing import Any

LOCKED = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
BATCH = 2048  # rows
ARROW, PARQUET = "arrow", "parquet"


class Refused(Exception):
    """What is wrong with the query; the message is for its author."""


def main() -> None:
    job = json.load(sys.stdin)
    limit_process(job)
    try:
        told = run(job)
    except Refused as error:
        told = {"error": str(error)}
    except MemoryError:
        told = {"error": "the query needs more memory than it may have", "kind": "limit"}
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        told = {"error": f"the answer has more than {job['result_bytes']} bytes: select less", "kind": "limit"}
    json.dump(told, sys.stdout)


def limit_process(job: dict[str, Any]) -> None:
    os.nice(10)
    seconds, room = int(job["seconds"]), int(job["memory"]) * 2 + (2 << 30)  # libraries take their share of addresses
    resource.setrlimit(resource.RLIMIT_CPU, (seconds * (os.cpu_count() or 1) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(job["result_bytes"]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(job: dict[str, Any]) -> dict[str, Any]:
    import duckdb

    session = duckdb.connect(":memory:")
    session.execute(f"SET memory_limit = '{int(job['memory'])}B'")
    session.execute(f"SET threads = {int(job['threads'])}")
    for name, sources in job["tables"].items():
        make_table(session, name, sources)
    paths = [path(file) for sources in job["tables"].values() for source in sources for file in source["files"]]
    if paths:
        session.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
    for statement in LOCKED:
        session.execute(statement)
    try:
        statements = session.extract_statements(job["sql"])
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise Refused("a query is one SELECT")
        found = session.execute(statements[0])
        return write(found, job)
    except duckdb.OutOfMemoryException as error:
        return {"error": f"the query needs more memory than it may have: {first_line(error)}", "kind": "limit"}
    except duckdb.Error as error:
        raise Refused(without_marks(without_paths(str(error), paths))) from None


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def without_paths(text: str, paths: Iterable[str]) -> str:
    for one in sorted(paths, key=len, reverse=True):
        for known in (os.path.realpath(one), one):
            text = text.replace(known, "its file")
    return text


def without_marks(text: str) -> str:
    """In one line, without what points below a word of the line above."""
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line.strip("^~"))


def path(file: int) -> str:
    return f"/proc/self/fd/{file}" if sys.platform == "linux" else f"/dev/fd/{file}"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def make_table(session: Any, name: str, sources: list[dict[str, Any]]) -> None:
    """A view over all files of all versions; where there are several versions their rows are marked by `columns`."""
    parts = []
    for number, source in enumerate(sources):
        kinds = {kind_of(file) for file in source["files"]}
        if len(kinds) > 1:
            raise Refused(f"{source['name']} holds files of different kinds: {', '.join(sorted(kinds))}")
        scan = scan_of(session, f"{name}_{number}", kinds.pop(), source)
        marks = "".join(f', {literal(value)} AS "{key}"' for key, value in source["columns"].items())
        parts.append(f"SELECT *{marks} FROM {scan}")  # noqa: S608 - names and texts quoted here
    session.execute(f"CREATE VIEW {name} AS {' UNION ALL BY NAME '.join(parts)}")


def kind_of(file: int) -> str:
    """By what it begins with: files of data frames have no telling names."""
    head = os.pread(file, 4096, 0)
    if head[:4] == b"PAR1":
        return PARQUET
    if head[:6] == b"ARROW1":
        return ARROW
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if b"\x00" in head:
        raise Refused("only parquet, CSV and Arrow files can be queried")
    return "csv"


def scan_of(session: Any, name: str, kind: str, source: dict[str, Any]) -> str:
    paths = [path(file) for file in source["files"]]
    listed = f"[{', '.join(map(literal, paths))}]"
    if kind == PARQUET:
        return f"read_parquet({listed}, union_by_name = true)"
    if kind == ARROW:
        import pyarrow.dataset as dataset

        session.register(name, dataset.dataset(paths, format="ipc"))
        return name
    compression = "gzip" if kind == "gzip" else "none"
    return f"read_csv({listed}, union_by_name = true, compression = '{compression}')"


def write(found: Any, job: dict[str, Any]) -> dict[str, Any]:
    columns = [{"name": one[0], "type": str(one[1])} for one in found.description]
    limit = int(job["rows"])
    with os.fdopen(int(job["result"]), "wb") as out:
        rows, truncated = WRITERS[job["format"]](found, columns, limit, out)
    return {"columns": columns, "rows": rows, "truncated": truncated}


def batches(found: Any, limit: int) -> Iterator[list[tuple[Any, ...]]]:
    """Up to one row more than the limit, which tells that there are more."""
    left = limit + 1
    while left > 0 and (rows := found.fetchmany(min(BATCH, left))):
        left -= len(rows)
        yield rows


def write_json(found: Any, columns: list[dict[str, str]], limit: int, out: Any) -> tuple[int, bool]:
    """One row after the other, as a JSON array of arrays."""
    count = 0
    out.write(b"[")
    for rows in batches(found, limit):
        for row in rows:
            count += 1
            if count <= limit:
                out.write((",\n" if count > 1 else "\n").encode() + as_json(row).encode())
    out.write(b"\n]")
    return min(count, limit), count > limit


def as_json(value: Any) -> str:
    """Of RFC 8259, which has no number for what is not finite and no key but texts: those are texts, as `NaN`."""
    try:
        return json.dumps(value, default=plain, allow_nan=False)
    except (ValueError, TypeError):
        return json.dumps(told(value), default=plain)


def told(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list | tuple):
        return [told(each) for each in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(plain(key)): told(each) for key, each in value.items()}
    return value


def plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def write_csv(found: Any, columns: list[dict[str, str]], limit: int, out: Any) -> tuple[int, bool]:
    import io

    count = 0
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow([column["name"] for column in columns])
    for rows in batches(found, limit):
        kept = rows[: max(limit - count, 0)]
        count += len(rows)
        table.writerows([cell(value) for value in row] for row in kept)
    text.detach()
    return min(count, limit), count > limit


def cell(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    return as_json(value) if isinstance(value, list | dict | tuple) else plain(value)


def write_arrow(found: Any, columns: list[dict[str, str]], limit: int, out: Any) -> tuple[int, bool]:
    """As a stream of Arrow's IPC format."""
    import pyarrow as pa

    make = getattr(found, "to_arrow_reader", None) or found.fetch_record_batch
    reader = make(BATCH)
    count = 0
    with pa.ipc.new_stream(out, reader.schema) as stream:
        for batch in reader:
            if count < limit:
                stream.write_batch(batch.slice(0, limit - count))
            count += batch.num_rows
            if count > limit:
                break
    return min(count, limit), count > limit


WRITERS = {"json": write_json, "csv": write_csv, "arrow": write_arrow}

if __name__ == "__main__":
    main()
