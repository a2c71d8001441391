"""`causeway sql`: queries over the data of artifacts."""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO

import click

from causeway.cli.output import show_rows
from causeway.cli.root import main
from causeway.client import Client

MARGIN = 60  # seconds, over what the query may take


@main.command()
@click.argument("query")
@click.option(
    "--format", "kind", type=click.Choice(["table", "json", "csv", "arrow"]), default="table", help="[default: table]"
)
@click.option("--json", "as_json", is_flag=True, help="As --format json.")
@click.option("--rows", type=int, default=10_000, help="At most so many.  [default: 10000]")
@click.option("--seconds", type=int, help="The query may take.")
@click.option("--output", "-o", type=click.File("wb"), default="-", help="A file, for csv and arrow.")
@click.pass_obj
def sql(client: Client, query: str, kind: str, as_json: bool, rows: int, seconds: int | None, output: BinaryIO) -> None:
    """Query the data of artifacts, with one SELECT of DuckDB; - reads it from the input.

    \b
    causeway sql "SELECT region, count(*) FROM artifact('ml-dataset', region := 'SEA') GROUP BY 1"
    """
    kind = "json" if as_json else kind
    body: dict[str, Any] = {
        "sql": sys.stdin.read() if query == "-" else query,
        "project": client.project,
        "domain": client.domain,
        "format": "json" if kind == "table" else kind,
        "rows": rows,
    }
    if seconds is not None:
        body["seconds"] = seconds
    answer = client.connection.raw("POST", "sql", json=body, timeout=(seconds or 600) + MARGIN)
    facts = json.loads(answer.headers["Causeway-Result"])
    if kind in ("csv", "arrow"):
        output.write(answer.content)
    else:
        _show(answer.json(), facts, as_json=kind == "json")
    if facts["truncated"]:
        click.echo(f"the first {facts['rows']} rows; there are more: --rows", err=True)


def _show(rows: list[list[Any]], facts: dict[str, Any], *, as_json: bool) -> None:
    width = len(rows[0]) if rows else 0
    names = [column["name"] for column in facts.get("columns", ())] or [f"column{n + 1}" for n in range(width)]
    unique = [name if name not in names[:place] else f"{name}_{place + 1}" for place, name in enumerate(names)]
    show_rows([dict(zip(unique, row, strict=True)) for row in rows], unique, as_json=as_json, verbatim=True)
