"""`causeway whoami`, `causeway token` and `causeway open`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

SCOPES = ("read", "publish", "launch", "register", "approve", "admin", "metrics")
OPENED = {"execution": "executions", "artifact": "artifacts", "launch-plan": "launch-plans"}
OPENED |= {"workflow": "workflows", "task": "tasks"}


@main.command()
@json_option
@click.pass_obj
def whoami(client: Client, as_json: bool) -> None:
    """The account this command acts as, where, and its roles."""
    me = client.connection.call("GET", "me")
    roles = [_role(each) for each in me["roles"]] + (["platform admin"] if me["is_superuser"] else [])
    lines = [f"{me['username']} at {client.connection.url}", f"project {client.project}, domain {client.domain}"]
    lines.append("roles: " + (", ".join(roles) or "none: ask an administrator of a project for one"))
    say(me, "\n".join(lines), as_json=as_json)


def _role(binding: dict[str, str]) -> str:
    where = "/".join(part for part in (binding["project"], binding["domain"]) if part)
    return f"{binding['role']} in {where or 'all projects'}"


@main.group()
def token() -> None:
    """Your own API tokens."""


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired ones too.")
@json_option
@click.pass_obj
def list_tokens(client: Client, everything: bool, as_json: bool) -> None:
    """Your tokens, newest first; never their secrets."""
    now = datetime.now(timezone.utc)
    rows = [each for each in client.connection.pages("tokens") if everything or _is_valid(each, now)]
    columns = ["id", "name", "scopes", "project", "created_at", "expires_at", "last_used_at", "revoked_at"]
    show_rows(rows, columns if everything else columns[:-1], as_json=as_json)


def _is_valid(row: dict[str, str], now: datetime) -> bool:
    ends = row["expires_at"]
    return not row["revoked_at"] and (not ends or datetime.fromisoformat(ends.replace("Z", "+00:00")) > now)


def expiry(days: int | None) -> dict[str, str]:
    """What a request for a token says of when it ends; None: never."""
    return {"expires_at": (datetime.now(timezone.utc) + timedelta(days=days)).isoformat()} if days else {}


@token.command()
@click.argument("name")
@click.option("--days", type=click.IntRange(min=1), help="Until it expires; left out: never.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it is good for; else all.")
@click.option("--only-in", default="", help="The one project it is good for.")
@json_option
@click.pass_obj
def create(client: Client, name: str, days: int | None, scopes: tuple[str, ...], only_in: str, as_json: bool) -> None:
    """Make a token; its secret is printed this once, alone on standard output."""
    body: dict[str, object] = {"name": name, "scopes": list(scopes), "project": only_in, **expiry(days)}
    made = client.connection.call("POST", "tokens", json=body)
    say(made, made["secret"], as_json=as_json)


@token.command()
@click.argument("token_id", type=int)
@json_option
@click.pass_obj
def revoke(client: Client, token_id: int, as_json: bool) -> None:
    """End one of your tokens, and those that were made with it."""
    client.connection.call("DELETE", f"tokens/{token_id}")
    say({"revoked": token_id}, f"token {token_id} is revoked", as_json=as_json)


@main.command("open")
@click.argument("what", type=click.Choice(list(OPENED)), required=False)
@click.argument("name", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the address instead of opening a browser.")
@json_option
@click.pass_obj
def open_page(client: Client, what: str | None, name: str | None, only_print: bool, as_json: bool) -> None:
    """Open the console: the overview, a list (`open execution`), or the page of one (`open execution NAME`)."""
    address = f"{client.connection.url}/"
    if what:
        address += f"{OPENED[what]}/"
    if name:
        parts = name.split("/") if name.count("/") == 2 else [client.project, client.domain, name]
        address += "/".join(quote(part, safe="") for part in parts) + "/"
    say({"url": address}, address, as_json=as_json)
    if not only_print and not as_json:
        click.launch(address)
