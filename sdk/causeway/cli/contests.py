"""`causeway contest ...`: champion and challengers."""

from __future__ import annotations

import json
from typing import Any

import click

from causeway.cli.options import json_anyway, json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

_ALIAS = click.option("--alias", default="champion", show_default=True)


@main.group()
def contest() -> None:
    """Launch plans that train on the same dataset, kept in step, and who leads."""


@contest.command("set")
@click.argument("model")
@_ALIAS
@click.option("--dataset", required=True, help="A name, or project/domain/name.")
@click.option("--member", "members", multiple=True, required=True, help="A launch plan that trains on it.")
@click.option("--metric", required=True, help="Of what they publish.")
@click.option("--better", type=click.Choice(["more", "less"]), default=None, help="[default: as its name tells]")
@click.option("--shadow", metavar="PLAN:INPUT", help="Run PLAN with challengers too; INPUT takes the model.")
@json_anyway
@click.pass_obj
def set_contest(client: Client, /, model: str, alias: str, better: str | None, shadow: str | None, **of: Any) -> None:
    """Have each new version of a dataset train every member, for ALIAS of the artifact MODEL."""
    plan, separator, taking = (shadow or "").rpartition(":")
    if shadow and not (separator and plan and taking):
        raise click.BadParameter(f"{shadow!r} is not PLAN:INPUT", param_hint="--shadow")
    found = client.contests.set(model, alias, better=better or "", shadow_plan=plan, shadow_input=taking, **of)
    click.echo(json.dumps(found, indent=2))


@contest.command("list")
@json_option
@click.pass_obj
def list_contests(client: Client, as_json: bool) -> None:
    """The contests of the project."""
    rows = list(client.contests.list(project=client.project, domain=client.domain))
    shown = rows if as_json else [{**row, "members": ", ".join(row["members"])} for row in rows]
    show_rows(shown, ["model", "alias", "dataset", "members", "metric", "better", "shadow_plan"], as_json=as_json)


@contest.command()
@click.argument("model")
@_ALIAS
@json_anyway
@click.pass_obj
def show(client: Client, model: str, alias: str) -> None:
    """The contest for ALIAS of MODEL, and which members are out of step, as JSON."""
    click.echo(json.dumps(client.contests.get(model, alias), indent=2))


@contest.command()
@click.argument("model")
@_ALIAS
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100))
@json_option
@click.pass_obj
def board(client: Client, model: str, alias: str, limit: int, as_json: bool) -> None:
    """What came of each version of the dataset at each member, newest first."""
    found = client.contests.board(model, alias, limit=limit)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [
        {
            "dataset": one["dataset_version"],
            **entry,
            "said": "; ".join(entry["failing"]) or entry["reason"],
            "is": _marks(entry, one, found),
        }
        for one in found["rounds"]
        for entry in one["entries"]
    ]
    show_rows(rows, ["dataset", "member", "standing", "value", "is", "version", "said"], as_json=False)


def _marks(entry: dict[str, Any], one: dict[str, Any], found: dict[str, Any]) -> str:
    marks = ["winner"] if entry["member"] == one["winner"] else []
    if entry["version"] in {one["version"] for one in found["champions"]}:
        marks.append("champion")
    return ", ".join(marks)


@contest.command()
@click.argument("model")
@_ALIAS
@click.option("--member", default="", help="Its newest version.")
@click.option("--version", default="", help="Instead: a version of MODEL.")
@click.option("--reason", default="")
@click.option("--force", is_flag=True, help="Against the policy, with a reason.")
@json_option
@click.pass_obj
def crown(client: Client, /, model: str, alias: str, as_json: bool, **of: Any) -> None:
    """Make a challenger champion at once."""
    if bool(of["member"]) == bool(of["version"]):
        raise click.UsageError("give --member, or --version")
    found = client.contests.make_champion(model, alias, **of)
    say(found, f"{model}:{alias} is {found['version']}", as_json=as_json)


@contest.command("catch-up")
@click.argument("model")
@_ALIAS
@click.option("--version", default="latest", show_default=True, help="Of the dataset.")
@json_option
@click.pass_obj
def catch_up(client: Client, model: str, alias: str, version: str, as_json: bool) -> None:
    """Have members that did not train on a version of the dataset train on it."""
    names = client.contests.catch_up(model, alias, version=version)
    said = f"{', '.join(names)} train on it now" if names else "every member has trained on it, or is about to"
    say({"members": list(names)}, said, as_json=as_json)


@contest.command()
@click.argument("model")
@_ALIAS
@json_option
@click.pass_obj
def shadows(client: Client, model: str, alias: str, as_json: bool) -> None:
    """The runs beside production, newest first."""
    columns = ["execution", "beside", "model_version", "phase", "created_at"]
    show_rows(list(client.contests.shadows(model, alias)), columns, as_json=as_json)


@contest.command("remove")
@click.argument("model")
@_ALIAS
@json_option
@click.pass_obj
def remove_contest(client: Client, model: str, alias: str, as_json: bool) -> None:
    """End the contest; what it launched stays."""
    client.contests.remove(model, alias)
    say({"model": model, "alias": alias, "removed": True}, f"the contest for {model}:{alias} is over", as_json=as_json)
