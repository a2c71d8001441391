"""How results are printed: as a table or key by key for people, as JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from causeway.client import Version

GAP = 2  # spaces between two columns
LEAST = 8  # letters that every column keeps
TIMES = ("at", "since", "created", "started", "ended")


def say(data: Any, text: str, *, as_json: bool) -> None:
    """One result: `data` for programs, `text` for people."""
    click.echo(json.dumps(data, indent=2) if as_json else text)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: list[str], *, as_json: bool, verbatim: bool = False) -> None:
    """A table; on a terminal no line is wider than it: the widest columns are cut, the first one last.

    :param verbatim: the columns are a user's own: their names and values are shown as they are
    """
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    if verbatim:
        heads, table = columns, [[_cell("", row.get(column)) for column in columns] for row in rows]
    else:
        heads = [column.upper().replace("_", " ") for column in columns]
        table = [[_cell(column, _value(row, column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *table, strict=True)]
    if sys.stdout.isatty():
        widths = fitted(widths, shutil.get_terminal_size().columns)
    for line in [heads, *table]:
        cells = (_cut(text, width).ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo((" " * GAP).join(cells).rstrip())


def fitted(widths: list[int], room: int) -> list[int]:
    """Widths of columns that fit into `room` letters: the widest give way, each down to LEAST; the first one last."""
    widths = list(widths)
    over = sum(widths) + GAP * (len(widths) - 1) - room
    while over > 0:
        others = [place for place in range(1, len(widths)) if widths[place] > LEAST]
        if not others and widths[0] <= LEAST:
            break
        widest = max(others, key=widths.__getitem__) if others else 0
        widths[widest] -= 1
        over -= 1
    return widths


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def _value(row: Mapping[str, Any], column: str) -> Any:
    """Partitions as people mean them: the time among them."""
    value = row.get(column)
    if column == "partitions" and row.get("period"):
        return {**(value or {}), "time": row["period"]}
    return value


def _cell(column: str, value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str) and column.rpartition("_")[2] in TIMES:
        return local_time(value)
    return "" if value is None else str(value)


def local_time(text: str) -> str:
    """A moment of the API by the clocks of this machine, to the second; anything else as it is."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment.tzinfo else text


def show_version(version: Version, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(version.fields), indent=2))
        return
    keys = (
        *("name", "version", "kind", "partitions", "uri", "size_bytes", "content_hash", "metrics", "metadata"),
        *("execution", "producer", "created_at"),
    )
    for key in keys:
        if text := _cell(key, _value(version.fields, key)):
            click.echo(f"{key.replace('_', ' '):<15} {text}")
