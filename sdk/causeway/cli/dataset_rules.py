"""`causeway dataset-rule`: which datasets of other systems become artifacts, and how these are called."""

from __future__ import annotations

from typing import Any

import click

from causeway.cli.options import json_option, pairs
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

COLUMNS = ["id", "position", "namespace", "name", "artifact", "partitions", "by_time", "shape", "created_by"]


@main.group("dataset-rule")
def dataset_rule() -> None:
    """Which datasets that other systems tell of (OpenLineage) become artifacts; for the project's admins."""


@dataset_rule.command("list")
@json_option
@click.pass_obj
def list_rules(client: Client, as_json: bool) -> None:
    """Those of the project and domain; the first that fits counts."""
    place = {"project": client.project, "domain": client.domain}
    rows = sorted(client.connection.pages("lineage/rules", **place), key=lambda row: (row["position"], row["id"]))
    show_rows(rows, COLUMNS, as_json=as_json)


@dataset_rule.command()
@click.argument("namespace")
@click.argument("name")
@click.argument("artifact")
@click.option("--partition", "-P", "partitions", multiple=True, metavar="KEY=VALUE", callback=pairs)
@click.option("--by-time", type=click.Choice(["minute", "hour", "day", "month"]), help="By the run's nominal time.")
@click.option("--shape", type=click.Choice(["dataset", "file", "directory"]), default="dataset", show_default=True)
@click.option("--format", "data_format", default="", help="parquet, csv ...")
@click.option("--position", type=int, default=100, show_default=True, help="The smallest that fits counts.")
@json_option
@click.pass_obj
def create(
    client: Client,
    namespace: str,
    name: str,
    artifact: str,
    partitions: dict[str, str],
    by_time: str | None,
    shape: str,
    data_format: str,
    position: int,
    as_json: bool,
) -> None:
    """Datasets whose NAMESPACE and NAME fit become versions of ARTIFACT.

    In both patterns * stands for anything and {word} for a part, which ARTIFACT and partitions may name:

    causeway dataset-rule create 'postgres://*' 'shop.public.{table}' 'raw-{table}'
    """
    body: dict[str, Any] = {
        "project": client.project,
        "domain": client.domain,
        "namespace": namespace,
        "name": name,
        "artifact": artifact,
        "partitions": partitions,
        "by_time": by_time or "",
        "shape": shape,
        "format": data_format,
        "position": position,
    }
    row = client.connection.call("POST", "lineage/rules", json=body)
    say(row, f"rule {row['id']}: {row['namespace']} {row['name']} -> {row['artifact']}", as_json=as_json)


@dataset_rule.command()
@click.argument("number", type=int)
@json_option
@click.pass_obj
def remove(client: Client, number: int, as_json: bool) -> None:
    """Remove one; what it made stays."""
    client.connection.call("DELETE", f"lineage/rules/{number}")
    say({"removed": number}, f"rule {number} is removed", as_json=as_json)
