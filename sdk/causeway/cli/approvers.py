"""`causeway approval-rule`, `approver-group`, `delegate` and `evidence`: who decides, and the proof of it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from causeway import approvers
from causeway.cli.options import MOMENT, json_anyway, json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

RULE_COLUMNS = [
    *("id", "project", "domain", "workflow", "signal_id", "people", "groups", "role", "quorum", "rejections"),
    *("author_may", "escalate_hours", "escalate_to"),
]


@main.group("approval-rule")
def approval_rule() -> None:
    """Who decides about approvals, and how many of them it takes."""


@approval_rule.command("list")
@json_option
@click.pass_obj
def list_rules(client: Client, as_json: bool) -> None:
    """The rules there are."""
    show_rows(list(client.approvers.rules()), RULE_COLUMNS, as_json=as_json)


@approval_rule.command("set")
@click.option("--in-domain", "domain", default="", help="Only there.")
@click.option("--workflow", default="", help="Only in the workflow of this name.")
@click.option("--signal", "signal_id", default="", help="Only what approve() is called there.")
@click.option("--person", "people", multiple=True)
@click.option("--group", "groups", multiple=True)
@click.option("--role", type=click.Choice(["contributor", "approver", "admin"]))
@click.option("--quorum", type=int, default=1, show_default=True, help="So many have to approve.")
@click.option("--rejections", type=int, default=1, show_default=True, help="So many rejections end it.")
@click.option("--author-may", is_flag=True, help="Who made what it is about may decide too.")
@click.option("--escalate-hours", type=float, help="So long before the time-out others are asked too.")
@click.option("--escalate-to", multiple=True, help="A person, or group:NAME.")
@json_anyway
@click.pass_obj
def set_rule(client: Client, /, role: str | None, **rule: Any) -> None:
    """Set the rule of the project, of a domain, a workflow or one signal; the narrowest that fits counts."""
    lists: dict[str, Any] = {name: list(value) if isinstance(value, tuple) else value for name, value in rule.items()}
    click.echo(json.dumps(client.approvers.set_rule(project=client.project, role=role or "", **lists), indent=2))


@approval_rule.command("remove")
@click.argument("rule", type=int)
@json_option
@click.pass_obj
def remove_rule(client: Client, rule: int, as_json: bool) -> None:
    """Remove the rule with this id."""
    client.approvers.remove_rule(rule)
    say({"id": rule}, f"removed {rule}", as_json=as_json)


@main.group("approver-group")
def approver_group() -> None:
    """People who decide together."""


@approver_group.command("list")
@json_option
@click.pass_obj
def list_groups(client: Client, as_json: bool) -> None:
    """The groups there are."""
    show_rows(list(client.approvers.groups()), ["project", "name", "members", "set_by", "set_at"], as_json=as_json)


@approver_group.command("set")
@click.argument("name")
@click.argument("members", nargs=-1, required=True)
@json_anyway
@click.pass_obj
def set_group(client: Client, name: str, members: tuple[str, ...]) -> None:
    """Make the group NAME of these people, or put them into it instead."""
    click.echo(json.dumps(client.approvers.set_group(name, members), indent=2))


@approver_group.command("remove")
@click.argument("name")
@json_option
@click.pass_obj
def remove_group(client: Client, name: str, as_json: bool) -> None:
    """Remove the group; refused while a rule names it."""
    client.approvers.remove_group(name)
    say({"name": name}, f"removed {name}", as_json=as_json)


@main.group()
def delegation() -> None:
    """Letting others decide for you, until a time."""


@delegation.command("list")
@json_option
@click.pass_obj
def list_delegations(client: Client, as_json: bool) -> None:
    """Those from and to you, and of projects that you administer."""
    columns = ["id", "giver", "to", "project", "starts_at", "ends_at", "revoked_at", "reason"]
    show_rows(list(client.approvers.delegations()), columns, as_json=as_json)


@delegation.command("add")
@click.argument("to")
@click.option("--until", type=MOMENT, required=True, help="ISO 8601, in UTC unless it says otherwise.")
@click.option("--of", "giver", default="", help="Whose decisions, as an admin; else yours.")
@click.option("--everywhere", is_flag=True, help="In all projects, not just this one.")
@click.option("--reason", default="")
@json_option
@click.pass_obj
def add_delegation(
    client: Client, to: str, until: datetime, giver: str, everywhere: bool, reason: str, as_json: bool
) -> None:
    """Let TO decide for you."""
    project = "" if everywhere else client.project
    found = client.approvers.delegate(to, until=until, project=project, reason=reason, giver=giver)
    say({"id": found}, f"{to} decides until {until.isoformat()} (delegation {found})", as_json=as_json)


@delegation.command("revoke")
@click.argument("delegation_id", type=int)
@json_option
@click.pass_obj
def revoke_delegation(client: Client, delegation_id: int, as_json: bool) -> None:
    """End the delegation with this id now."""
    client.approvers.revoke(delegation_id)
    say({"id": delegation_id}, f"revoked {delegation_id}", as_json=as_json)


@main.group()
def evidence() -> None:
    """The signed proof of a decision."""


@evidence.command("get")
@click.argument("gate", type=int)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; else it is printed.")
@json_anyway
@click.pass_obj
def get_evidence(client: Client, gate: int, output: Path | None) -> None:
    """The evidence of the last decision about the approval GATE. The server's keys are trusted here from then on."""
    text = json.dumps(client.approvers.evidence(gate), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    output.write_text(text + "\n")
    approvers.trust(client.approvers.keys())
    click.echo(f"{output}: verify it with causeway evidence verify {output}", err=True)


@evidence.command("keys")
@click.option("--trust", is_flag=True, help="Keep them here, to verify files offline.")
@json_anyway
@click.pass_obj
def show_keys(client: Client, trust: bool) -> None:
    """The public keys of the server, in base64, by id."""
    keys = client.approvers.keys()
    if trust:
        approvers.trust(keys)
    click.echo(json.dumps(keys, indent=2))


@evidence.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keys", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Public keys to trust.")
@json_option
def verify_evidence(file: Path, keys: Path | None, as_json: bool) -> None:
    """Whether FILE is evidence that a trusted key signed, unchanged since. Asks no server; 1: it is not."""
    try:
        document = json.loads(file.read_text())
    except (ValueError, UnicodeDecodeError):
        raise approvers.Forged(f"{file} is no JSON") from None
    found = approvers.verify(document, approvers.trusted(keys))
    decision = found["decision"]
    said = "approved" if decision["approved"] else "rejected"
    void = f", voided {decision['voided_at']}: {decision['void_reason']}" if decision["voided_at"] else ""
    votes = ", ".join(vote["actor"] for vote in found["votes"])
    text = f"valid: {found['subject']} {said} at {decision['at']} by {votes}{void}"
    say({"valid": True, "decision": decision, "key": found["key"]["id"]}, text, as_json=as_json)
