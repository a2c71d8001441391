"""`causeway artifact alias`: movable names."""

from __future__ import annotations

import click

from causeway.cli.artifacts import artifact
from causeway.client import Client


@artifact.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version")
@click.option("--reason", default="")
@click.pass_obj
def alias(client: Client, name: str, alias: str, version: str, reason: str) -> None:
    """Point ALIAS of NAME at VERSION."""
    client.move_alias(name, alias, version, reason=reason)
