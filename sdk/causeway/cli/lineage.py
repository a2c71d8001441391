"""`causeway artifact lineage`: where versions came from and where they went."""

from __future__ import annotations

import json

import click

from causeway.cli.artifacts import artifact
from causeway.cli.options import partition_option
from causeway.client import Client


@artifact.command()
@click.argument("name")
@click.option("--version", default="")
@partition_option
@click.pass_obj
def lineage(client: Client, name: str, version: str, partitions: dict[str, str]) -> None:
    """Who produced and who used the newest version of NAME that fits, as JSON."""
    click.echo(json.dumps(client.get(name, version=version, partitions=partitions).lineage(), indent=2))
