"""`causeway reader`: login roles that read what Causeway knows by SQL."""

from __future__ import annotations

from typing import Any

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

COLUMNS = ["name", "role", "places", "statement_seconds", "connections", "created_by", "created_at"]


@main.group()
def reader() -> None:
    """Login roles of the database that read the SQL views; for who administers all that one sees."""


@reader.command("list")
@json_option
@click.pass_obj
def list_readers(client: Client, as_json: bool) -> None:
    """Those of which you administer every place."""
    show_rows(list(client.connection.pages("readers")), COLUMNS, as_json=as_json)


@reader.command()
@click.argument("name")
@click.option("--sees", multiple=True, required=True, metavar="PROJECT[/DOMAIN]", help="Repeatable; * for everything.")
@click.option("--seconds", type=int, help="That a statement may take.")
@click.option("--connections", type=int, help="At once.")
@click.option("--description", default="", help="What it is for.")
@json_option
@click.pass_obj
def create(
    client: Client,
    name: str,
    sees: tuple[str, ...],
    seconds: int | None,
    connections: int | None,
    description: str,
    as_json: bool,
) -> None:
    """Make a reader; its password is printed once."""
    body = {"name": name, "places": list(sees), "description": description, **_limits(seconds, connections)}
    _say_password(client.connection.call("POST", "readers", json=body), as_json=as_json)


@reader.command()
@click.argument("name")
@click.option("--sees", multiple=True, metavar="PROJECT[/DOMAIN]", help="In place of what it saw; repeatable.")
@click.option("--seconds", type=int, help="That a statement may take.")
@click.option("--connections", type=int, help="At once.")
@json_option
@click.pass_obj
def change(
    client: Client, name: str, sees: tuple[str, ...], seconds: int | None, connections: int | None, as_json: bool
) -> None:
    """Change what a reader sees, or its limits."""
    body = {**({"places": list(sees)} if sees else {}), **_limits(seconds, connections)}
    if not body:
        raise click.UsageError("nothing to change: give --sees, --seconds or --connections")
    row = client.connection.repeat("PATCH", f"readers/{name}", json=body)
    say(row, f"{name} sees {', '.join(row['places'])}", as_json=as_json)


@reader.command()
@click.argument("name")
@json_option
@click.pass_obj
def rotate(client: Client, name: str, as_json: bool) -> None:
    """Give it a new password, which is printed once; the old one is wrong at once, and its sessions end."""
    _say_password(client.connection.call("POST", f"readers/{name}/rotate"), as_json=as_json)


@reader.command()
@click.argument("name")
@json_option
@click.pass_obj
def remove(client: Client, name: str, as_json: bool) -> None:
    """Take a reader away; its sessions end."""
    client.connection.call("DELETE", f"readers/{name}")
    say({"removed": name}, f"{name} is removed", as_json=as_json)


def _limits(seconds: int | None, connections: int | None) -> dict[str, int]:
    given = {"statement_seconds": seconds, "connections": connections}
    return {key: value for key, value in given.items() if value is not None}


def _say_password(row: dict[str, Any], *, as_json: bool) -> None:
    lines = (
        f"user      {row['role']}",
        f"password  {row['password']}",
        f"database  {row['database']}, schema {row['schema']}",
        f"sees      {', '.join(row['places'])}",
    )
    say(row, "\n".join(lines), as_json=as_json)
