"""`causeway promote`, `promotion`, `why`, `hold`, `erase`, `service-level` and `availability`."""

from __future__ import annotations

import json
from typing import Any

import click

from causeway.addresses import parse
from causeway.cli.artifacts import artifact
from causeway.cli.lineage import found, version_options
from causeway.cli.options import json_anyway, json_option, partition_option
from causeway.cli.output import local_time, say, show_rows
from causeway.cli.root import main
from causeway.client import Client
from causeway.version import Version


def _named(client: Client, name: str, version: str, alias: str, partitions: dict[str, str]) -> Version:
    asked = parse(name)
    if not (version or alias or asked.version or asked.alias):
        raise click.UsageError("name the version: NAME@VERSION, NAME:ALIAS, --version or --alias")
    return found(client, name, version, alias, partitions)


@artifact.command()
@version_options
@click.option("--to", "domain", required=True, help="The domain it goes to.")
@click.option("--to-project", default="", help="Another project.")
@click.option("--as", "new_name", default="", help="Another name there.")
@click.option("--then-alias", default="", help="An alias that is moved to it there.")
@click.option("--reason", default="")
@json_option
@click.pass_obj
def promote(client: Client, /, as_json: bool, domain: str, to_project: str, new_name: str, **rest: Any) -> None:
    """Take a version of NAME to another domain or project by reference; nothing is copied."""
    alias_there, reason = rest.pop("then_alias"), rest.pop("reason")
    version = _named(client, **rest)
    done = client.stewardship.promote(
        version, domain, project=to_project, name=new_name, alias=alias_there, reason=reason
    )
    waits = "" if done["state"] == "promoted" else f"; it waits for {done['rule']['quorum']} to approve"
    where = f"{done['project']}/{done['domain']}/{done['name']}"
    say(done, f"promotion {done['id']} to {where}: {done['state']}{waits}", as_json=as_json)


@main.group()
def promotion() -> None:
    """Versions that go to another domain or project."""


@promotion.command("list")
@click.option("--waiting", is_flag=True, help="Only those that wait for approvals.")
@json_option
@click.pass_obj
def list_promotions(client: Client, waiting: bool, as_json: bool) -> None:
    """Promotions, newest first."""
    rows = list(client.stewardship.promotions(**({"state": "requested"} if waiting else {})))
    columns = ["id", "state", "project", "domain", "name", "alias", "requested_by", "requested_at", "reason"]
    show_rows(rows, columns, as_json=as_json)


@promotion.command("approve")
@click.argument("promotion_id", type=int)
@click.option("--comment", default="")
@json_option
@click.pass_obj
def approve_promotion(client: Client, promotion_id: int, comment: str, as_json: bool) -> None:
    """Approve the promotion with this id."""
    done = client.stewardship.decide_promotion(promotion_id, approve=True, comment=comment)
    say(done, f"promotion {promotion_id}: {done['state']}", as_json=as_json)


@promotion.command("reject")
@click.argument("promotion_id", type=int)
@click.option("--comment", required=True, help="Why.")
@json_option
@click.pass_obj
def reject_promotion(client: Client, promotion_id: int, comment: str, as_json: bool) -> None:
    """Reject the promotion with this id."""
    done = client.stewardship.decide_promotion(promotion_id, approve=False, comment=comment)
    say(done, f"promotion {promotion_id}: {done['state']}", as_json=as_json)


@artifact.command()
@version_options
@json_option
@click.pass_obj
def why(client: Client, /, as_json: bool, **rest: Any) -> None:
    """Every decision that led to a version of NAME, and those about it since, in order."""
    _show_why(client.stewardship.why(found(client, **rest)), as_json=as_json)


@main.command("why")
@click.argument("execution")
@json_option
@click.pass_obj
def why_execution(client: Client, execution: str, as_json: bool) -> None:
    """Every decision that led to EXECUTION, and to what it took in."""
    _show_why(client.stewardship.why_execution(execution), as_json=as_json)


def _show_why(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for step in told["steps"]:
        proof, reason = step["proof"], f" ({step['reason']})" if step["reason"] else ""
        said = f"{step['actor'] or 'somebody'}: {step['words']}{reason}"
        click.echo(f"{local_time(step['at'])}  {said}  [{proof['table']} {proof['row']}]")
    if told["hidden"]:
        click.echo(f"{told['hidden']} more happened where you may not read")


@main.group()
def hold() -> None:
    """What keeps versions: pins, and legal holds."""


@hold.command("add")
@version_options
@click.option("--legal", is_flag=True, help="From every removal, until it is released with a reason.")
@click.option("--whole", is_flag=True, help="A legal hold of every version, those to come too.")
@click.option("--reason", required=True)
@json_option
@click.pass_obj
def add_hold(client: Client, /, as_json: bool, legal: bool, whole: bool, reason: str, **rest: Any) -> None:
    """Keep a version of NAME."""
    if whole:
        done = client.stewardship.hold_artifact(rest["name"], reason)
    else:
        done = client.stewardship.hold(_named(client, **rest), reason, legal=legal)
    say(done, f"hold {done['id']} keeps {done['artifact']} {done['version'] or '(every version)'}", as_json=as_json)


@hold.command("list")
@json_option
@click.pass_obj
def list_holds(client: Client, as_json: bool) -> None:
    """What is held."""
    columns = ["id", "kind", "project", "domain", "artifact", "version", "set_by", "set_at", "reason"]
    show_rows(list(client.stewardship.holds()), columns, as_json=as_json)


@hold.command("release")
@click.argument("hold_id", type=int)
@click.option("--reason", default="", help="Why; a legal hold needs one.")
@json_option
@click.pass_obj
def release_hold(client: Client, hold_id: int, reason: str, as_json: bool) -> None:
    """Release the hold with this id."""
    say(client.stewardship.release(hold_id, reason=reason), f"released {hold_id}", as_json=as_json)


@artifact.command()
@version_options
@click.option("--derived", is_flag=True, help="Everything that was made of it goes too.")
@click.option("--reason", default="")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_anyway
@click.pass_obj
def erase(client: Client, /, derived: bool, reason: str, dry_run: bool, **rest: Any) -> None:
    """Erase a version of NAME for good; tombstones and lineage stay."""
    version = _named(client, **rest)
    if dry_run:
        done = client.stewardship.plan_erasure(version, derived=derived)
    else:
        done = client.stewardship.erase(version, reason, derived=derived)
    click.echo(json.dumps(done, indent=2))


@main.group("service-level")
def service_level() -> None:
    """What was promised of artifacts and launch plans, and how well it is kept."""


@service_level.command("list")
@json_option
@click.pass_obj
def list_levels(client: Client, as_json: bool) -> None:
    """Service levels, with the last 30 days."""
    columns = ["id", "project", "domain", "name", "words", "met", "breached", "attainment", "open_since"]
    show_rows(list(client.stewardship.levels()), columns, as_json=as_json)


@service_level.command("add")
@click.argument("kind", type=click.Choice(["new_by", "fresh", "ends_within", "p95_within"]))
@click.argument("name")
@click.option("--time", default="", help="HH:MM, of new_by.")
@click.option("--zone", default="", help="Whose clocks: Europe/Berlin.  [default: UTC]")
@click.option("--seconds", type=float, help="Of the others.")
@partition_option
@json_option
@click.pass_obj
def add_level(client: Client, /, kind: str, name: str, as_json: bool, **of: Any) -> None:
    """Promise something of the artifact or launch plan NAME."""
    level = client.stewardship.set_level(kind, name, **{key: value for key, value in of.items() if value})
    say({"id": level}, f"service level {level} is looked at from now on", as_json=as_json)


@service_level.command("show")
@click.argument("level", type=int)
@json_option
@click.pass_obj
def show_level(client: Client, level: int, as_json: bool) -> None:
    """What came of the service level with this id, newest first."""
    columns = ["at", "met", "until", "value", "subject"]
    show_rows(list(client.stewardship.outcomes(level)), columns, as_json=as_json)


@service_level.command("remove")
@click.argument("level", type=int)
@json_option
@click.pass_obj
def remove_level(client: Client, level: int, as_json: bool) -> None:
    """Look at it no more."""
    client.stewardship.remove_level(level)
    say({"id": level}, f"removed {level}", as_json=as_json)


@main.command()
@click.option("--days", type=float, default=30, show_default=True)
@json_anyway
@click.pass_obj
def availability(client: Client, days: float) -> None:
    """Causeway's own: when it was down, and what was lost or broke."""
    click.echo(json.dumps(client.stewardship.availability(days=days), indent=2))
