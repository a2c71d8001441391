"""`causeway lineage ...` and `causeway artifact lineage`: where versions came from and where they went."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from causeway.cli.artifacts import artifact
from causeway.cli.options import json_anyway, json_option, partition_option
from causeway.cli.output import show_rows
from causeway.cli.root import main
from causeway.client import Client
from causeway.version import Version

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = ["table", "json", "dot", "mermaid", "openlineage"]


@artifact.command("lineage")
@click.argument("name")
@click.option("--version", default="")
@partition_option
@json_anyway
@click.pass_obj
def one_hop(client: Client, name: str, version: str, partitions: dict[str, str]) -> None:
    """Who produced and who used the newest version of NAME that fits, as JSON."""
    click.echo(json.dumps(client.get(name, version=version, partitions=partitions).lineage(), indent=2))


@main.group()
def lineage() -> None:
    """Ancestry, impact, what is out of date, comparisons, and the map of artifacts."""


def version_options(command: F) -> F:
    """Which version of NAME is meant: the newest that fits."""
    command = partition_option(command)
    command = click.option("--alias", default="")(command)
    command = click.option("--version", default="")(command)
    return click.argument("name")(command)


def found(client: Client, name: str, version: str, alias: str, partitions: dict[str, str]) -> Version:
    return client.get(name, version=version, alias=alias, partitions=partitions)


def _rows(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**node, "name": node.get("name", "(not visible)")} for node in nodes]


NODE_COLUMNS = ["depth", "name", "version", "kind", "partitions", "created_at", "execution"]


def graph_command(name: str, direction: str, words: str) -> None:
    @lineage.command(name, help=f"{words} the newest version of NAME that fits, nearest first.")
    @version_options
    @click.option("--depth", type=click.IntRange(1), help="Steps at most.  [default: all]")
    @click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
    @json_option
    @click.pass_obj
    def command(
        client: Client,
        name: str,
        version: str,
        alias: str,
        partitions: dict[str, str],
        depth: int | None,
        form: str,
        as_json: bool,
    ) -> None:
        start = found(client, name, version, alias, partitions)
        form = "json" if as_json else form
        if form == "table":
            nodes = client.lineage.graph(start, direction=direction, depth=depth, limit=10_000)["nodes"]
            show_rows(_rows(nodes), NODE_COLUMNS, as_json=False)
        else:
            click.echo(client.lineage.export(start, form, direction=direction, depth=depth).rstrip("\n"))


graph_command("upstream", "upstream", "All that was used to make")
graph_command("downstream", "downstream", "All that was made of")


@lineage.command("trained-on")
@version_options
@json_option
@click.pass_obj
def trained_on(client: Client, name: str, version: str, alias: str, partitions: dict[str, str], as_json: bool) -> None:
    """Every dataset in the ancestry of the newest version of NAME that fits."""
    nodes = client.lineage.trained_on(found(client, name, version, alias, partitions))
    show_rows(nodes if as_json else _rows(nodes), NODE_COLUMNS, as_json=as_json)


@lineage.command()
@click.argument("name", default="")
@json_option
@click.pass_obj
def stale(client: Client, name: str, as_json: bool) -> None:
    """Newest versions made of something published anew since; of NAME, or of the project and domain."""
    rows = client.lineage.stale(project=client.project, domain=client.domain, name=name)
    if not as_json:
        rows = [
            {
                "name": row["version"].get("name"),
                "version": row["version"].get("version"),
                "made_of": f"{row['used'].get('name', '(not visible)')}@{row['used'].get('version', '')}",
                "newer": row["newer"].get("version", "(not visible)"),
            }
            for row in rows
        ]
    show_rows(rows, ["name", "version", "made_of", "newer"], as_json=as_json)


@lineage.command()
@click.argument("name")
@click.argument("first")
@click.argument("second")
@json_option
@click.pass_obj
def compare(client: Client, name: str, first: str, second: str, as_json: bool) -> None:
    """What is different between versions FIRST and SECOND of NAME; each a version or an alias."""
    ends = [_version_or_alias(client, name, text) for text in (first, second)]
    result = client.lineage.compare(*ends)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    rows = [
        {"what": what, "first": json.dumps(one), "second": json.dumps(two)}
        for what, (one, two) in result["differences"].items()
    ]
    rows += [
        {
            "what": f"made of {change['artifact'] or '(not visible)'}",
            "first": ", ".join(one.get("version", "?") for one in change["only_first"]),
            "second": ", ".join(one.get("version", "?") for one in change["only_second"]),
        }
        for change in result["ancestry"]
    ]
    show_rows(rows, ["what", "first", "second"], as_json=False)
    for line in result["card"]:
        click.echo(line)


def _version_or_alias(client: Client, name: str, text: str) -> Version:
    from causeway.client import CausewayError

    try:
        return client.get(name, version=text)
    except CausewayError as error:
        if error.status != 404:
            raise
        return client.get(name, alias=text)


@lineage.command("map")
@click.argument("name", default="")
@click.option("--all", "everywhere", is_flag=True, help="Of every project.")
@click.option("--format", "form", type=click.Choice(["json", "dot", "mermaid"]), default="mermaid", show_default=True)
@json_option
@click.pass_obj
def show_map(client: Client, name: str, everywhere: bool, form: str, as_json: bool) -> None:
    """Which artifacts are made of which: around NAME, or in the project and domain."""
    scope = {} if everywhere else {"project": client.project, "domain": client.domain, "name": name}
    click.echo(client.lineage.export_map("json" if as_json else form, **scope).rstrip("\n"))
