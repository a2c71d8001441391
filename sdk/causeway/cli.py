"""The command `causeway`. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 not allowed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from causeway.client import CausewayError, Client, Version

EXIT_CODES = {401: 4, 403: 4, 404: 3}
F = TypeVar("F", bound=Callable[..., Any])


class Commands(click.Group):
    """Turns the API's refusals into one line and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CausewayError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(EXIT_CODES.get(error.status, 1))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", envvar="CAUSEWAY_URL", help="Of the console.  [default: http://localhost:8000]")
@click.option("--token", envvar="CAUSEWAY_TOKEN", help="Made on the console's token page.")
@click.option("--project", "-p", envvar="CAUSEWAY_PROJECT", help="[default: flytesnacks]")
@click.option("--domain", "-d", envvar="CAUSEWAY_DOMAIN", help="[default: development]")
@click.pass_context
def main(context: click.Context, url: str | None, token: str | None, project: str | None, domain: str | None) -> None:
    """Artifacts, launches and approvals of Causeway."""
    context.obj = Client(url, token, project, domain)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def partition_option(command: F) -> F:
    option = click.option("--partition", "-P", "partitions", multiple=True, metavar="KEY=VALUE", callback=_pairs)
    return option(command)


def _pairs(_context: click.Context, _option: click.Parameter, texts: Iterable[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    return dict(text.split("=", 1) for text in texts)


def _show(rows: list[dict[str, Any]], columns: list[str], *, as_json: bool) -> None:
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


def _show_version(version: Version, *, as_json: bool) -> None:
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
        "execution",
        "producer",
        "created_at",
    ):
        if text := _cell(version.fields.get(key)):
            click.echo(f"{key.replace('_', ' '):<15} {text}")


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
    _show(found, ["name", "version", "kind", "partitions", "created_at"], as_json=as_json)


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
    _show_version(found, as_json=as_json)


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
    _show_version(made, as_json=as_json)


@artifact.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version")
@click.option("--reason", default="")
@click.pass_obj
def alias(client: Client, name: str, alias: str, version: str, reason: str) -> None:
    """Point ALIAS of NAME at VERSION."""
    client.move_alias(name, alias, version, reason=reason)


@artifact.command()
@click.argument("name")
@click.option("--version", default="")
@partition_option
@click.pass_obj
def lineage(client: Client, name: str, version: str, partitions: dict[str, str]) -> None:
    """Who produced and who used the newest version of NAME that fits, as JSON."""
    click.echo(json.dumps(client.get(name, version=version, partitions=partitions).lineage(), indent=2))


@main.command()
@click.argument("launch_plan")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=JSON", callback=_pairs)
@click.option("--version", default="")
@click.option("--wait", default=0.0, help="Seconds to wait for the end, at most 300.")
@click.pass_obj
def launch(client: Client, launch_plan: str, inputs: dict[str, str], version: str, wait: float) -> None:
    """Launch LAUNCH_PLAN; with --wait, exit 1 unless it succeeded."""
    values = {name: _json_or_text(text) for name, text in inputs.items()}
    execution = client.launch(launch_plan, values, version=version, wait=wait)
    click.echo(json.dumps(execution, indent=2))
    if wait and execution["phase"] != "SUCCEEDED":
        sys.exit(1)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@main.command()
@click.argument("launch_plan")
@click.argument("version")
@click.option("--off", is_flag=True, help="Deactivate instead.")
@click.pass_obj
def activate(client: Client, launch_plan: str, version: str, off: bool) -> None:
    """Activate VERSION of LAUNCH_PLAN: its trigger and schedule start."""
    client.set_active(launch_plan, version, active=not off)


@main.command()
@json_option
@click.pass_obj
def approvals(client: Client, as_json: bool) -> None:
    """Approvals that wait for somebody."""
    _show(client.approvals(), ["id", "execution", "signal_id", "waiting_since", "expires_at"], as_json=as_json)


@main.command()
@click.argument("gate", type=int)
@click.option("--comment", default="")
@click.pass_obj
def approve(client: Client, gate: int, comment: str) -> None:
    """Approve the waiting approval with this id."""
    client.decide(gate, approve=True, comment=comment)


@main.command()
@click.argument("gate", type=int)
@click.option("--comment", default="")
@click.pass_obj
def reject(client: Client, gate: int, comment: str) -> None:
    """Reject the waiting approval with this id."""
    client.decide(gate, approve=False, comment=comment)
