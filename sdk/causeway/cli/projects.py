"""`causeway project` and `causeway member`: projects, and who may do what in them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from causeway.cli.options import json_option, pairs
from causeway.cli.output import local_time, say, show_rows
from causeway.cli.root import main
from causeway.client import CausewayError, Client

ROLES = ("viewer", "contributor", "approver", "admin")


@main.group()
def project() -> None:
    """Projects."""


def _path(name: str) -> str:
    return f"projects/{quote(name, safe='')}"


@project.command("list")
@click.option("--all", "everything", is_flag=True, help="Archived ones too.")
@json_option
@click.pass_obj
def list_projects(client: Client, everything: bool, as_json: bool) -> None:
    """The projects of which you may read something."""
    rows = [each for each in client.connection.pages("projects") if everything or each["state"] != "ARCHIVED"]
    show_rows(rows, ["id", "name", "state", "domains", "description"], as_json=as_json)


@project.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """One project, with its members where you may see them."""
    found = client.connection.call("GET", _path(name))
    members = _members(client, name)
    if as_json:
        say({**found, "members": members}, "", as_json=True)
        return
    facts = {**found, "domains": ", ".join(found["domains"]), "created_at": local_time(found["created_at"])}
    facts["labels"] = ", ".join(f"{key}={value}" for key, value in found["labels"].items())
    click.echo("\n".join(f"{key.replace('_', ' '):<12} {value}" for key, value in facts.items() if value))
    if members:
        click.echo()
        show_rows(members, MEMBER_COLUMNS, as_json=False)


@project.command()
@click.argument("name")
@click.option("--title", default="", help="What people call it.")
@click.option("--description", default="")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE", callback=pairs)
@json_option
@click.pass_obj
def create(client: Client, name: str, title: str, description: str, labels: dict[str, str], as_json: bool) -> None:
    """Make a project; for administrators of the platform."""
    body = {"id": name, "name": title or name, "description": description, "labels": labels}
    say(client.connection.call("POST", "projects", json=body), f"{name} is made", as_json=as_json)


@project.command()
@click.argument("name")
@json_option
@click.pass_obj
def archive(client: Client, name: str, as_json: bool) -> None:
    """Take a project out of the lists; what ran in it stays."""
    row = client.connection.call("PATCH", _path(name), json={"state": "ARCHIVED"})
    say(row, f"{name} is archived", as_json=as_json)


@project.command()
@click.argument("name")
@json_option
@click.pass_obj
def restore(client: Client, name: str, as_json: bool) -> None:
    """Put an archived project back."""
    row = client.connection.call("PATCH", _path(name), json={"state": "ACTIVE"})
    say(row, f"{name} is active", as_json=as_json)


MEMBER_COLUMNS = ["user", "role", "project", "domain", "created_at"]


def _members(client: Client, name: str) -> list[dict[str, Any]]:
    """Bindings of the project that the caller administers."""
    return list(client.connection.pages("role-bindings", project=name))


@main.group()
def member() -> None:
    """Who has which role in a project: viewer, contributor, approver or admin; each includes those before it."""


@member.command("list")
@click.option("--user", default="", help="Only this account.")
@click.option("--all-projects", is_flag=True, help="Not only the project chosen.")
@json_option
@click.pass_obj
def list_members(client: Client, user: str, all_projects: bool, as_json: bool) -> None:
    """The roles given in the project, where you administer it."""
    asked = ({} if all_projects else {"project": client.project}) | ({"user": user} if user else {})
    show_rows(list(client.connection.pages("role-bindings", **asked)), MEMBER_COLUMNS, as_json=as_json)


@member.command()
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--in-domain", default="", help="Only in this domain of the project.")
@json_option
@click.pass_obj
def add(client: Client, user: str, role: str, in_domain: str, as_json: bool) -> None:
    """Give USER the ROLE in the project."""
    body = {"user": user, "role": role, "project": client.project, "domain": in_domain}
    row = client.connection.call("POST", "role-bindings", json=body)
    say(row, f"{user} is {role} in {_where(client, in_domain)}", as_json=as_json)


@member.command()
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--in-domain", default="", help="The role that was given in this domain.")
@json_option
@click.pass_obj
def remove(client: Client, user: str, role: str, in_domain: str, as_json: bool) -> None:
    """Take the ROLE away from USER in the project."""
    rows = client.connection.pages("role-bindings", project=client.project, user=user)
    found = next((each for each in rows if (each["role"], each["domain"]) == (role, in_domain)), None)
    if found is None:
        raise CausewayError(f"{user} is not {role} in {_where(client, in_domain)}", status=404)
    client.connection.call("DELETE", f"role-bindings/{found['id']}")
    say({"removed": found}, f"{user} is no longer {role} in {_where(client, in_domain)}", as_json=as_json)


def _where(client: Client, domain: str) -> str:
    return "/".join(part for part in (client.project, domain) if part)
