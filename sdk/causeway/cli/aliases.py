"""`causeway artifact alias`, `unalias` and `aliases`: movable names."""

from __future__ import annotations

import click

from causeway.cli.artifacts import artifact
from causeway.cli.options import json_option, partition_option
from causeway.cli.output import say, show_rows
from causeway.client import Client


@artifact.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version")
@click.option("--reason", default="", help="For the alias's history.")
@click.option("--expected", help="Only if the alias is at this version now.")
@click.option("--new", is_flag=True, help="Only if there is no such alias yet.")
@click.option("--force", is_flag=True, help="Against its policy: this takes the policy's role, and a reason.")
@json_option
@click.pass_obj
def alias(
    client: Client,
    name: str,
    alias: str,
    version: str,
    reason: str,
    expected: str | None,
    new: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Point ALIAS of NAME at VERSION."""
    if new and expected is not None:
        raise click.UsageError("give --expected or --new, not both")
    client.move_alias(name, alias, version, reason=reason, expected=None if new else expected or "", force=force)
    say({"name": name, "alias": alias, "version": version}, f"{name}:{alias} is {version}", as_json=as_json)


@artifact.command()
@click.argument("name")
@click.argument("alias")
@partition_option
@click.option("--reason", default="", help="For the alias's history.")
@click.option("--force", is_flag=True, help="Against its policy: this takes the policy's role, and a reason.")
@json_option
@click.pass_obj
def unalias(
    client: Client, name: str, alias: str, partitions: dict[str, str], reason: str, force: bool, as_json: bool
) -> None:
    """Remove ALIAS of NAME; its history stays. With --partition: of these, where it is kept per partition."""
    client.remove_alias(name, alias, partitions=partitions, reason=reason, force=force)
    say({"name": name, "alias": alias, "version": None}, f"{name}:{alias} is removed", as_json=as_json)


@artifact.command()
@click.argument("name")
@click.argument("alias", required=False)
@partition_option
@json_option
@click.pass_obj
def aliases(client: Client, name: str, alias: str | None, partitions: dict[str, str], as_json: bool) -> None:
    """The aliases of NAME; with ALIAS, where that one has been; with --partition, the pointers of those only."""
    if alias is None:
        rows = list(client.aliases(name, partitions=partitions))
        columns = ["name", "partitions", "version", "moved_at"]
    else:
        rows = list(client.alias_history(name, alias, partitions=partitions))
        columns = ["at", "partitions", "from_version", "to_version", "actor", "forced", "reason"]
    show_rows(rows, columns, as_json=as_json)
