"""`causeway artifact`: find, publish and pull."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from causeway.cards import Card, CardFormat
from causeway.cli import progress
from causeway.cli.options import MOMENT, json_option, pairs, partition_option, query_options
from causeway.cli.output import say, show_rows, show_version
from causeway.cli.root import main
from causeway.client import Client

KINDS = ("model", "dataset", "file", "directory", "value", "other")
GRANULARITIES = ("minute", "hour", "day", "month")
HTML_SUFFIXES = (".html", ".htm")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@main.group()
def artifact() -> None:
    """Find, publish, pull and follow artifacts.

    NAME is an artifact's name, NAME@VERSION, NAME:ALIAS, or a whole flyte:// address.
    """


@artifact.command()
@click.argument("text", nargs=-1)
@click.option("--limit", default=20, show_default=True)
@json_option
@click.pass_obj
def search(client: Client, text: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Versions that match words and filters, e.g. `name:ml-model region=north`, newest first."""
    found = [dict(version.fields) for version in islice(client.search(" ".join(text)), limit)]
    show_rows(found, ["name", "version", "kind", "partitions", "created_at"], as_json=as_json)


@artifact.command("list")
@click.argument("text", nargs=-1)
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--all-projects", is_flag=True, help="Not only the project and domain chosen.")
@click.option("--limit", default=50, show_default=True)
@json_option
@click.pass_obj
def list_artifacts(
    client: Client, text: tuple[str, ...], kind: str | None, all_projects: bool, limit: int, as_json: bool
) -> None:
    """Artifacts whose name or description holds the words, the latest made first."""
    filters = {} if all_projects else {"project": client.project, "domain": client.domain}
    filters |= {"kind": kind} if kind else {}
    found = list(islice(client.artifacts(" ".join(text), **filters), limit))
    columns = ["project", "domain", "name", "kind", "partition_keys", "newest_version", "newest_at"]
    show_rows(found, columns, as_json=as_json)


@artifact.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """What is declared and known of NAME: partition keys, granularity, aliases, its newest version."""
    found = client.artifact(name)
    aliases = ", ".join(f"{_called(each)} at {each['version']}" for each in found["aliases"])
    if (more := found.pop("alias_count", 0) - len(found["aliases"])) > 0:
        aliases += f" and {more} more (artifact aliases lists them)"
    rows = {**found, "partition_keys": ", ".join(found["partition_keys"]), "aliases": aliases}
    rows.pop("aliases_url", None)
    text = "\n".join(f"{key.replace('_', ' '):<15} {value}" for key, value in rows.items() if value)
    say(found, text, as_json=as_json)


def _called(alias: dict[str, Any]) -> str:
    """`champion`, or `champion?region=SEA` where it is kept per region."""
    return str(alias["name"]) + (f"?{urlencode(alias['partitions'])}" if alias["partitions"] else "")


@artifact.command()
@click.argument("name")
@click.option("--limit", default=20, show_default=True)
@partition_option
@json_option
@click.pass_obj
def versions(client: Client, name: str, limit: int, partitions: dict[str, str], as_json: bool) -> None:
    """The versions of NAME, newest first."""
    filters = {f"partition.{key}": value for key, value in partitions.items()}
    found = [dict(version.fields) for version in islice(client.versions(name, **filters), limit)]
    columns = ["version", "kind", "partitions", "metrics", "created_at"]
    show_rows(found, columns, as_json=as_json)


@artifact.command()
@click.argument("name")
@query_options
@json_option
@click.pass_obj
def get(client: Client, /, name: str, as_json: bool, **query: Any) -> None:
    """The newest version of NAME that fits."""
    show_version(client.get(name, **query), as_json=as_json)


@artifact.command()
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@query_options
@json_option
@click.pass_obj
def pull(client: Client, /, name: str, folder: Path, as_json: bool, **query: Any) -> None:
    """Download the data of NAME's newest version that fits into FOLDER, and print where it is; print a plain value.

    A download that broke off goes on where it was when it is asked for again.
    """
    found = client.get(name, **query)
    if not found.has_files:
        value = found.value
        say({"value": value}, value if isinstance(value, str) else json.dumps(value), as_json=as_json)
        return
    with progress.shown() as bar:
        path = found.download(folder, progress=bar)
    say({"path": str(path), "version": found.version}, str(path), as_json=as_json)


@artifact.command()
@click.argument("name")
@query_options
@json_option
@click.pass_obj
def card(client: Client, /, name: str, as_json: bool, **query: Any) -> None:
    """The card of NAME's newest version that fits, as safe HTML."""
    html = client.get(name, **query).card()
    say({"html": html}, html, as_json=as_json)


@artifact.command()
@click.argument("name")
@click.option("--value", help="JSON.")
@click.option("--file", type=FILE, help="To upload.")
@click.option("--directory", "--dir", type=click.Path(exists=True, file_okay=False, path_type=Path), help="To upload.")
@click.option("--uri", "--external-ref", default="", help="Of data that lies elsewhere; it is not copied.")
@click.option("--shape", type=click.Choice(["file", "directory", "dataset"]), help="What the data is, for its readers.")
@click.option("--format", "data_format", default="", help="csv, parquet ...  [default: the file's suffix]")
@click.option("--version", default="", help="[default: made up]")
@click.option("--kind", type=click.Choice(KINDS), help="[default: told from the data]")
@click.option("--description", default="", help="Of the artifact, when it has none yet.")
@click.option("--card", type=FILE, help="A Markdown file, or HTML by its suffix.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME=NUMBER", callback=pairs)
@click.option("--metadata", "-m", multiple=True, metavar="NAME=TEXT", callback=pairs)
@click.option("--time-partition", type=MOMENT)
@click.option("--granularity", type=click.Choice(GRANULARITIES), help="Of the time partition, at the first version.")
@partition_option
@json_option
@click.pass_obj
def create(
    client: Client,
    /,
    name: str,
    value: str | None,
    file: Path | None,
    directory: Path | None,
    uri: str,
    shape: str | None,
    data_format: str,
    card: Path | None,
    metrics: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Publish a version of NAME from outside. An upload that broke off goes on where it was when asked for again."""
    if sum((value is not None, file is not None, directory is not None, bool(uri))) != 1:
        raise click.UsageError("give exactly one of --value, --file, --directory and --uri")
    options = {key: each for key, each in options.items() if each}
    options |= {"metrics": _numbers(metrics)} if metrics else {}
    with progress.shown() as bar:
        made = client.create(
            name,
            _json(value) if value is not None else None,
            file=file,
            directory=directory,
            uri=uri,
            shape=shape or "",
            format=data_format,
            card=_card(card) if card else None,
            progress=bar,
            **options,
        )
    show_version(made, as_json=as_json)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not JSON; text needs its own quotes", param_hint="--value") from error


def _numbers(metrics: dict[str, str]) -> dict[str, float]:
    try:
        return {name: float(text) for name, text in metrics.items()}
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--metric") from error


def _card(path: Path) -> Card:
    html = path.suffix.lower() in HTML_SUFFIXES
    try:
        return Card(path.read_text(encoding="utf-8"), CardFormat.HTML if html else CardFormat.MARKDOWN)
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path} is not UTF-8 text", param_hint="--card") from error
