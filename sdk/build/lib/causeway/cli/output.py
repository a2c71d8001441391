"""How results are printed: as a table or key by key for people, as JSON for programs."""

from __future__ import annotations

import json
from typing import Any

import click

from causeway.client import Version


def say(data: Any, text: str, *, as_json: bool) -> None:
    """One result: `data` for programs, `text` for people."""
    click.echo(json.dumps(data, indent=2) if as_json else text)


def show_rows(rows: list[dict[str, Any]], columns: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *table, strict=True)]
    for line in [[column.upper() for column in columns], *table]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in sorted(value.items()))
    return "" if value is None else str(value)


def show_version(version: Version, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(version.fields), indent=2))
        return
    for key in (
        "name",
        "version",
        "kind",
        "partitions",
        "time_partition",
        "uri",
        "size_bytes",
        "content_hash",
        "metrics",
        "metadata",
        "execution",
        "producer",
        "created_at",
    ):
        if text := _cell(version.fields.get(key)):
            click.echo(f"{key.replace('_', ' '):<15} {text}")
