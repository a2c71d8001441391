"""Reads the beginning of a table, in a process of its own that the kernel ends: the bytes are strangers'.

Imported by nothing of ours: pyarrow takes a second and a hundred megabytes.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import resource
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from artifacts.preview import archived
from artifacts.preview.pickled import read_pickled

ROWS_SHOWN, COLUMNS_SHOWN = 50, 100
SAMPLED = 10_000  # rows that statistics are of
CELL = 200  # characters
LINES = 4 << 20  # bytes of JSON lines that are read
BLOCK = 1 << 20
BROKEN = (pickle.UnpicklingError, EOFError, LookupError, TypeError, AttributeError, RecursionError)  # of a pickle
OBJECTS = {"pickled object": read_pickled, "archive": archived.read_archive}


def read_table(file: BinaryIO, kind: str, name: str) -> dict[str, Any]:
    """The first rows with statistics of the first SAMPLED; `total_rows` None where the file does not say it."""
    if kind == "parquet":
        whole = pq.ParquetFile(file, memory_map=False)
        batches = whole.iter_batches(batch_size=1000, use_threads=False)
        return _told(_first(batches, whole.schema_arrow), whole.metadata.num_rows)
    if kind == "arrow":
        return _told(*_arrow(file))
    if kind == "csv":
        tabs = pacsv.ParseOptions(delimiter="\t" if name.lower().endswith(".tsv") else ",", newlines_in_values=True)
        reader = pacsv.open_csv(file, pacsv.ReadOptions(use_threads=False, block_size=BLOCK), tabs)
        return _told(_first(reader, reader.schema), None)
    head = file.read(LINES)
    cut = head[: head.rfind(b"\n") + 1] if len(head) == LINES else head
    table = pajson.read_json(io.BytesIO(cut), pajson.ReadOptions(use_threads=False, block_size=len(cut) + 1))
    return _told(table, table.num_rows if len(head) < LINES else None)


def _arrow(file: BinaryIO) -> tuple[pa.Table, int | None]:
    if file.read(6) == b"ARROW1":
        file.seek(0)
        whole = pa.ipc.open_file(file)
        return _first((whole.get_batch(at) for at in range(whole.num_record_batches)), whole.schema), None
    file.seek(0)
    stream = pa.ipc.open_stream(file)
    return _first(stream, stream.schema), None


def _first(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    taken, count = [], 0
    for batch in batches:
        taken.append(batch)
        count += batch.num_rows
        if count >= SAMPLED:
            break
    return pa.Table.from_batches(taken, schema).slice(0, SAMPLED)


def _told(table: pa.Table, total: int | None) -> dict[str, Any]:
    shown = table.select(range(min(table.num_columns, COLUMNS_SHOWN)))
    rows = shown.slice(0, ROWS_SHOWN)
    cells = [[_text(value) for value in rows.column(at).to_pylist()] for at in range(rows.num_columns)]
    return {
        "columns": [_column(shown.field(at), shown.column(at)) for at in range(shown.num_columns)],
        "more_columns": table.num_columns - shown.num_columns,
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "sampled": table.num_rows,
        "total_rows": total,
    }


def _column(field: pa.Field, values: pa.ChunkedArray) -> dict[str, Any]:
    return {
        "name": field.name[:CELL],
        "type": str(field.type)[:CELL],
        "nulls": values.null_count,
        "distinct": _try(lambda: pc.count_distinct(values).as_py()),
        "min": _text(_try(lambda: pc.min(values).as_py())),
        "max": _text(_try(lambda: pc.max(values).as_py())),
        "mean": _try(lambda: _mean(field.type, values)),
    }


def _mean(kind: pa.DataType, values: pa.ChunkedArray) -> float | None:
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    mean = float(pc.mean(values).as_py())
    return mean if math.isfinite(mean) else None


def _try(find: Any) -> Any:
    """None where the type has no such thing."""
    try:
        return find()
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes: {value[:20].hex()}"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def main() -> None:
    """Arguments: kind, name, a file descriptor, CPU seconds, bytes of memory (beyond: killed). Prints JSON."""
    kind, name, descriptor, seconds, memory = sys.argv[1:6]
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    pa.set_cpu_count(1)
    with open(int(descriptor), "rb") as file:
        try:
            told = OBJECTS[kind](file) if kind in OBJECTS else read_table(file, kind, name)
        except (*BROKEN, *archived.BROKEN) as error:
            if kind not in OBJECTS:
                raise
            what = "pickle" if kind == "pickled object" else kind
            told = {"problem": f"It is no {what} that can be read: {type(error).__name__}."}
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            told = {"problem": " ".join(str(error).split()[:60]) or type(error).__name__}
    json.dump(told, sys.stdout, default=str)
    sys.stdout.flush()
    os._exit(0)  # what pyarrow's threads do at an orderly end is, now and then, to abort
