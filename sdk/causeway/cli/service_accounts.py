"""`causeway service-account`: accounts of programs, for the admins of their project."""

from __future__ import annotations

from urllib.parse import quote

import click

from causeway.cli.identity import expiry
from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.projects import ROLES
from causeway.cli.root import main
from causeway.client import Client


@main.group("service-account")
def service_account() -> None:
    """Accounts of programs in the project; for its admins."""


def _path(client: Client, *names: str) -> str:
    return "/".join(["projects", quote(client.project, safe=""), "service-accounts", *names])


@service_account.command("list")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@json_option
@click.pass_obj
def list_accounts(client: Client, everything: bool, as_json: bool) -> None:
    """Those of the project."""
    rows = [each for each in client.connection.pages(_path(client)) if everything or each["is_open"]]
    show_rows(rows, ["name", "project", "is_open", "created_at"], as_json=as_json)


@service_account.command()
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--in-domain", default="", help="The role holds only in this domain of the project.")
@json_option
@click.pass_obj
def create(client: Client, name: str, role: str, in_domain: str, as_json: bool) -> None:
    """Make the account NAME with the ROLE in the project. It needs a token next."""
    body = {"name": name, "role": role, "domain": in_domain}
    said = f"{name} is made: `causeway service-account token {name} WHAT-FOR` gives it a token"
    say(client.connection.call("POST", _path(client), json=body), said, as_json=as_json)


@service_account.command()
@click.argument("name")
@click.argument("what_for")
@click.option("--days", type=click.IntRange(min=1), help="Until it expires; left out: never.")
@json_option
@click.pass_obj
def token(client: Client, name: str, what_for: str, days: int | None, as_json: bool) -> None:
    """Make a token of the account NAME; its secret is printed this once, alone on standard output."""
    body = {"name": what_for, **expiry(days)}
    made = client.connection.call("POST", _path(client, quote(name, safe=""), "tokens"), json=body)
    say(made, made["secret"], as_json=as_json)


@service_account.command()
@click.argument("name")
@json_option
@click.pass_obj
def close(client: Client, name: str, as_json: bool) -> None:
    """End the account NAME and its tokens; what it did keeps its name."""
    client.connection.call("DELETE", _path(client, quote(name, safe="")))
    say({"closed": name}, f"{name} is closed", as_json=as_json)
