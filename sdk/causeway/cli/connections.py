"""`causeway connection`: where other systems are, for tasks that ask for one by name. Secrets are never arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import NOT_FOUND, main
from causeway.client import Client

F = TypeVar("F", bound=Callable[..., Any])


@main.group()
def connection() -> None:
    """Connections that tasks ask for by name: causeway.connection_secret(NAME)."""


def placed(command: F) -> F:
    for option in (
        click.argument("name"),
        click.option("--all-domains", is_flag=True, help="For every domain of the project."),
        click.option("--all-projects", is_flag=True, help="For every project; for administrators of the platform."),
    ):
        command = option(command)
    return command


def _place(*, all_domains: bool, all_projects: bool) -> dict[str, str]:
    return {"project": "", "domain": ""} if all_projects else {"domain": ""} if all_domains else {}


@connection.command("set")
@placed
@click.option("--kind", default="", help="The scheme of its address: postgresql, s3.")
@click.option("--host", default="")
@click.option("--port", type=click.IntRange(1, 65535))
@click.option("--user", default="")
@click.option("--database", default="")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Shown; may be given several times.")
@click.option("--password/--keep-password", default=False, help="Ask for a password, or read what is piped in.")
@click.option("--secrets", type=click.File(), help="JSON: other secrets by name; null removes one; - for the input.")
@json_option
@click.pass_obj
def set_connection(
    client: Client,
    /,
    name: str,
    all_domains: bool,
    all_projects: bool,
    options: tuple[str, ...],
    password: bool,
    secrets: TextIO | None,
    as_json: bool,
    **plain: Any,
) -> None:
    """Set a connection, or replace it; its secrets stay where none are given."""
    wanted = {**plain, "options": dict(_pair(one) for one in options)}
    if password:
        wanted["password"] = _typed()
    if secrets is not None:
        wanted["secrets"] = _secrets(secrets)
    row = client.connections.set(name, **_place(all_domains=all_domains, all_projects=all_projects), **wanted)
    say(
        row, f"{name} is set for {row['project'] or 'every project'}/{row['domain'] or 'every domain'}", as_json=as_json
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--option")
    return name, value


def _typed() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.read().removesuffix("\n")


def _secrets(file: TextIO) -> dict[str, Any]:
    try:
        found = json.load(file)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.BadParameter("this is not a JSON object", param_hint="--secrets")
    return found


@connection.command("list")
@json_option
@click.pass_obj
def list_connections(client: Client, as_json: bool) -> None:
    """Those that hold in the project and domain, without their secrets."""
    columns = ["name", "kind", "host", "port", "user", "database", "secret_names", "project", "domain", "updated_by"]
    show_rows(list(client.connections.list()), columns, as_json=as_json)


@connection.command()
@placed
@json_option
@click.pass_context
def remove(context: click.Context, name: str, all_domains: bool, all_projects: bool, as_json: bool) -> None:
    """Remove a connection: tasks that ask for it fail by its name from now on."""
    place = _place(all_domains=all_domains, all_projects=all_projects)
    if not context.obj.connections.remove(name, **place):
        click.echo(f"Error: there is no connection {name} there", err=True)
        context.exit(NOT_FOUND)
    say({"removed": name}, f"{name} is removed", as_json=as_json)
