"""`causeway connector`: the services that tasks run at by their types, for administrators of the platform."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client


@main.group()
def connector() -> None:
    """Connector services, such as `pyflyte serve connector`; for administrators of the platform."""


@connector.command("list")
@json_option
@click.pass_obj
def list_connectors(client: Client, as_json: bool) -> None:
    """All connectors: where they are, whether they answer and take new attempts, and which task types they run."""
    rows = [{**row, "runs": _types(row)} for row in client.connectors.list()]
    show_rows(rows, ["name", "endpoint", "open", "answers", "source", "runs", "problem"], as_json=as_json)


@connector.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """Its settings, what it runs, who set it and when."""
    row = client.connectors.get(name)
    told = {**row, "types": _types(row)}
    lines = (f"{key:<12} {_text(value)}" for key, value in told.items() if value not in (None, ""))
    say(row, "\n".join(lines), as_json=as_json)


def _types(row: dict[str, Any]) -> str:
    """`boto, sensor, ship v2`"""
    return ", ".join(one["type"] + (f" v{one['version']}" if one["version"] else "") for one in row["types"])


def _text(value: Any) -> str:
    return json.dumps(value, indent=2) if isinstance(value, dict) else str(value)


@connector.command("set")
@click.argument("name")
@click.option(
    "--from-file", type=click.File(), help="YAML or JSON that describes it, in place of what it was; - for the input."
)
@click.option("--endpoint", help="host:port of its gRPC door.")
@click.option("--open/--closed", "is_open", default=None, help="Whether new attempts go there.")
@json_option
@click.pass_obj
def set_connector(
    client: Client, name: str, from_file: TextIO | None, endpoint: str | None, is_open: bool | None, as_json: bool
) -> None:
    """Set a connector, or change what is named of it."""
    changes = {key: value for key, value in {"endpoint": endpoint, "open": is_open}.items() if value is not None}
    row: dict[str, Any] = {}
    if from_file is not None:
        row = client.connectors.set(name, from_file.read())
    elif not changes:
        raise click.UsageError("nothing to set: give --from-file, --endpoint, --open or --closed")
    elif not any(one["name"] == name for one in client.connectors.list()):
        row, changes = client.connectors.set(name, changes), {}
    if changes:
        row = client.connectors.change(name, changes)
    say(row, f"{name} is set, {'open' if row['open'] else 'closed'} for new attempts", as_json=as_json)


@connector.command()
@click.argument("name")
@json_option
@click.pass_obj
def remove(client: Client, name: str, as_json: bool) -> None:
    """Remove a connector; refused while it has jobs."""
    client.connectors.remove(name)
    say({"removed": name}, f"{name} is removed", as_json=as_json)
