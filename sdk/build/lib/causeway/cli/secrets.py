"""`causeway secret`: what tasks may ask for. A value is typed or piped in, never an argument that others could see."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import NOT_FOUND, main
from causeway.client import Client

F = TypeVar("F", bound=Callable[..., Any])


@main.group()
def secret() -> None:
    """Secrets that tasks ask for by name: flytekit's Secret(group=..., key=...)."""


def named(command: F) -> F:
    for option in (
        click.argument("name", metavar="[GROUP/]KEY"),
        click.option("--version", default="", help="Of the group."),
        click.option("--all-domains", is_flag=True, help="For every domain of the project."),
        click.option("--all-projects", is_flag=True, help="For every project; for administrators of the platform."),
    ):
        command = option(command)
    return command


def _asked(name: str, version: str, *, all_domains: bool, all_projects: bool) -> dict[str, Any]:
    group, _, key = name.rpartition("/")
    place = {"project": "", "domain": ""} if all_projects else {"domain": ""} if all_domains else {}
    return {"group": group, "key": key, "version": version, **place}


@secret.command("set")
@named
@click.option("--from-file", type=click.File("rb"), help="The value is the file's content, as it is; - for the input.")
@json_option
@click.pass_obj
def set_secret(
    client: Client,
    name: str,
    version: str,
    all_domains: bool,
    all_projects: bool,
    from_file: BinaryIO | None,
    as_json: bool,
) -> None:
    """Set a secret, or replace its value: asked for, or read from what is piped in."""
    asked = _asked(name, version, all_domains=all_domains, all_projects=all_projects)
    row = client.secrets.set(value=_value(from_file), **asked)
    say(
        row, f"{name} is set for {row['project'] or 'every project'}/{row['domain'] or 'every domain'}", as_json=as_json
    )


def _value(from_file: BinaryIO | None) -> bytes:
    """One line end at the end is the pipe's, not the secret's."""
    if from_file is not None:
        return from_file.read()
    if sys.stdin.isatty():
        return str(click.prompt("Value", hide_input=True, confirmation_prompt=True)).encode()
    return sys.stdin.buffer.read().removesuffix(b"\n")


@secret.command("list")
@json_option
@click.pass_obj
def list_secrets(client: Client, as_json: bool) -> None:
    """Names of the secrets that hold in the project and domain, who set them and when."""
    columns = ["group", "key", "version", "project", "domain", "updated_by", "updated_at"]
    show_rows(list(client.secrets.list()), columns, as_json=as_json)


@secret.command()
@named
@json_option
@click.pass_context
def remove(
    context: click.Context, name: str, version: str, all_domains: bool, all_projects: bool, as_json: bool
) -> None:
    """Remove a secret: tasks that ask for it fail by its name from now on."""
    asked = _asked(name, version, all_domains=all_domains, all_projects=all_projects)
    if not context.obj.secrets.remove(**asked):
        click.echo(f"Error: there is no secret {name} there", err=True)
        context.exit(NOT_FOUND)
    say({"removed": name}, f"{name} is removed", as_json=as_json)
