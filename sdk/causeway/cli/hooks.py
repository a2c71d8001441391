"""`causeway hook`: addresses at which programs without a token publish versions of one artifact."""

from __future__ import annotations

from typing import Any

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

COLUMNS = ["key", "project", "domain", "artifact", "created_by", "created_at", "last_used_at"]


@main.group()
def hook() -> None:
    """Addresses that publish versions of one artifact for who signs what he sends."""


@hook.command("list")
@json_option
@click.pass_obj
def list_hooks(client: Client, as_json: bool) -> None:
    """Hooks of the project and domain."""
    place = {"project": client.project, "domain": client.domain}
    show_rows(list(client.connection.pages("hooks", **place)), COLUMNS, as_json=as_json)


@hook.command()
@click.argument("artifact")
@json_option
@click.pass_obj
def create(client: Client, artifact: str, as_json: bool) -> None:
    """Make one for ARTIFACT; it publishes by your name. Its secret is printed once."""
    body = {"project": client.project, "domain": client.domain, "artifact": artifact}
    _say_secret(client.connection.call("POST", "hooks", json=body), as_json=as_json)


@hook.command()
@click.argument("key")
@json_option
@click.pass_obj
def rotate(client: Client, key: str, as_json: bool) -> None:
    """Give it a new secret, which is printed once; the one before is good for a day."""
    _say_secret(client.connection.call("POST", f"hooks/{key}/rotate"), as_json=as_json)


@hook.command()
@click.argument("key")
@json_option
@click.pass_obj
def remove(client: Client, key: str, as_json: bool) -> None:
    """Remove one."""
    client.connection.call("DELETE", f"hooks/{key}")
    say({"removed": key}, f"hook {key} is removed", as_json=as_json)


def _say_secret(row: dict[str, Any], *, as_json: bool) -> None:
    lines = (f"address  {row['url']}", f"secret   {row['secret']}", f"artifact {row['artifact']}")
    say(row, "\n".join(lines), as_json=as_json)
