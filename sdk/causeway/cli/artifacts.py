"""`causeway artifact`: find, publish and pull."""

from __future__ import annotations

import json
from pathlib import Path

import click

from causeway.cli.options import json_option, partition_option
from causeway.cli.output import show_rows, show_version
from causeway.cli.root import main
from causeway.client import Client


@main.group()
def artifact() -> None:
    """Find, publish, pull and follow artifacts."""


@artifact.command()
@click.argument("text", nargs=-1)
@click.option("--limit", default=20, show_default=True)
@json_option
@click.pass_obj
def search(client: Client, text: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Versions that match words and filters, e.g. `name:ml-model region=north`, newest first."""
    found = [dict(version.fields) for version, _ in zip(client.search(" ".join(text)), range(limit), strict=False)]
    show_rows(found, ["name", "version", "kind", "partitions", "created_at"], as_json=as_json)


@artifact.command()
@click.argument("name")
@click.option("--version", default="")
@click.option("--alias", default="")
@partition_option
@json_option
@click.pass_obj
def get(client: Client, name: str, version: str, alias: str, partitions: dict[str, str], as_json: bool) -> None:
    """The newest version of NAME that fits."""
    found = client.get(name, version=version, alias=alias, partitions=partitions)
    show_version(found, as_json=as_json)


@artifact.command()
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--version", default="")
@click.option("--alias", default="")
@partition_option
@click.pass_obj
def pull(client: Client, name: str, folder: Path, version: str, alias: str, partitions: dict[str, str]) -> None:
    """Download the data of NAME's newest version that fits into FOLDER, and print where it is."""
    found = client.get(name, version=version, alias=alias, partitions=partitions)
    click.echo(found.download(folder))


@artifact.command()
@click.argument("name")
@click.option("--value", help="JSON.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="To upload.")
@click.option("--uri", default="", help="Of data that lies elsewhere; it is not copied.")
@click.option("--shape", type=click.Choice(["file", "directory", "dataset"]), default="file", help="What the URI is.")
@click.option("--version", default="")
@click.option("--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A Markdown file.")
@partition_option
@json_option
@click.pass_obj
def create(
    client: Client,
    name: str,
    value: str | None,
    file: Path | None,
    uri: str,
    shape: str,
    version: str,
    card: Path | None,
    partitions: dict[str, str],
    as_json: bool,
) -> None:
    """Publish a version of NAME from outside."""
    if sum((value is not None, file is not None, bool(uri))) != 1:
        raise click.UsageError("give exactly one of --value, --file and --uri")
    try:
        plain = json.loads(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not JSON; text needs its own quotes", param_hint="--value") from error
    text = card.read_text() if card else None
    made = client.create(
        name, plain, file=file, uri=uri, shape=shape, version=version, partitions=partitions, card=text
    )
    show_version(made, as_json=as_json)
