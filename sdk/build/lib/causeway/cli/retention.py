"""`causeway retention ...` and `causeway artifact remove`: which versions stay."""

from __future__ import annotations

import json
from typing import Any

import click

from causeway.addresses import parse
from causeway.cli.artifacts import artifact
from causeway.cli.lineage import found, version_options
from causeway.cli.options import json_anyway, json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client


@main.group()
def retention() -> None:
    """Which versions of an artifact stay: its policy, a dry run, and what was removed."""


@retention.command()
@click.argument("name")
@json_anyway
@click.pass_obj
def show(client: Client, name: str) -> None:
    """The policy of NAME, as JSON."""
    click.echo(json.dumps(client.retention.policy(name), indent=2))


def _rules(command: Any) -> Any:
    command = click.option(
        "--drop-ancestors", is_flag=True, help="What kept versions were made of may go too, as tombstones."
    )(command)
    command = click.option("--days", "keep_days", type=float, help="Keep what is younger.")(command)
    return click.option("--newest", "keep_newest", type=int, help="Keep so many of each partition.")(command)


@retention.command("set")
@click.argument("name")
@_rules
@json_anyway
@click.pass_obj
def set_policy(
    client: Client, name: str, keep_newest: int | None, keep_days: float | None, drop_ancestors: bool
) -> None:
    """Set the policy of NAME. A version goes when every rule given lets it go, and nothing needs it."""
    policy = client.retention.set_policy(
        name, keep_newest=keep_newest, keep_days=keep_days, keep_ancestors=not drop_ancestors
    )
    click.echo(json.dumps(policy, indent=2))


@retention.command()
@click.argument("name")
@json_option
@click.pass_obj
def delete(client: Client, name: str, as_json: bool) -> None:
    """Keep every version of NAME from now on."""
    client.retention.delete_policy(name)
    say({"name": name, "policy": None}, f"every version of {name} is kept", as_json=as_json)


@retention.command()
@click.argument("name")
@_rules
@json_option
@click.pass_obj
def plan(
    client: Client,
    name: str,
    keep_newest: int | None,
    keep_days: float | None,
    drop_ancestors: bool,
    as_json: bool,
) -> None:
    """The dry run: what would go of NAME now, and why everything else stays. With rules, of those."""
    result = client.retention.plan(
        name, keep_newest=keep_newest, keep_days=keep_days, keep_ancestors="false" if drop_ancestors else "true"
    )
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    rows = [{**one, "verdict": "goes"} for one in result["remove"]]
    rows += [{**one, "verdict": "stays"} for one in [*result["needed"], *result["kept"]]]
    show_rows(rows, ["verdict", "version", "partitions", "created_at", "reason"], as_json=False)


@retention.command()
@click.argument("name")
@json_option
@click.pass_obj
def run(client: Client, name: str, as_json: bool) -> None:
    """Apply the policy of NAME now."""
    removed = client.retention.run(name)
    say({"removed": removed}, f"{removed} removed", as_json=as_json)


@retention.command()
@click.argument("name")
@json_option
@click.pass_obj
def removals(client: Client, name: str, as_json: bool) -> None:
    """Every removal of a version of NAME, newest first."""
    columns = ["at", "version", "actor", "reason", "freed_bytes", "objects_deleted_at"]
    show_rows(list(client.retention.removals(name)), columns, as_json=as_json)


@artifact.command()
@version_options
@click.option("--reason", default="")
@click.option("--tombstone", is_flag=True, help="Also when kept versions were made of it; their lineage stays whole.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_anyway
@click.pass_obj
def remove(
    client: Client,
    name: str,
    version: str,
    alias: str,
    partitions: dict[str, str],
    reason: str,
    tombstone: bool,
    dry_run: bool,
) -> None:
    """Remove a version of NAME: its data goes, what it was and its lineage stay."""
    asked = parse(name)
    if not (version or alias or asked.version or asked.alias):
        raise click.UsageError("name the version: NAME@VERSION, NAME:ALIAS, --version or --alias")
    target = found(client, name, version, alias, partitions)
    result = client.retention.remove(target, reason=reason, tombstone=tombstone, dry_run=dry_run)
    click.echo(json.dumps(result, indent=2))
