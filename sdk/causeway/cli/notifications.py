"""`causeway subscription` and `causeway inbox`: who is told of what happens, and what one was told."""

from __future__ import annotations

from itertools import islice
from typing import TextIO

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

COLUMNS = ["id", "owner", "address", "channel", "kinds", "project", "domain", "artifact", "launch_plan", "created_at"]


@main.group()
def subscription() -> None:
    """Who is told of what happens."""


@subscription.command("kinds")
@json_option
@click.pass_obj
def list_kinds(client: Client, as_json: bool) -> None:
    """The kinds of happenings that there are."""
    show_rows(client.notifications.kinds(), ["name", "words"], as_json=as_json)


@subscription.command("list")
@json_option
@click.pass_obj
def list_subscriptions(client: Client, as_json: bool) -> None:
    """Yours, and those of the projects that you administer."""
    show_rows(list(client.notifications.subscriptions()), COLUMNS, as_json=as_json)


@subscription.command()
@click.argument("kinds", nargs=-1, required=True)
@click.option("--by", "channel", type=click.Choice(["console", "email", "webhook", "slack"]), default="console")
@click.option("--to", "address", default="", help="A URL or a mail address; without it you yourself are told.")
@click.option("--secret-file", type=click.File(), help="Holds what webhooks are signed with; - for standard input.")
@click.option("--artifact", default="", help="Of artifacts of this name; * for any characters.")
@click.option("--launch-plan", default="", help="Of launch plans of this name; * for any characters.")
@click.option("--everywhere", is_flag=True, help="In every project that you may read, not in this one only.")
@json_option
@click.pass_obj
def create(
    client: Client,
    kinds: tuple[str, ...],
    channel: str,
    address: str,
    secret_file: TextIO | None,
    artifact: str,
    launch_plan: str,
    everywhere: bool,
    as_json: bool,
) -> None:
    """Be told of KINDS: `check.failed`, `alias.*`, `*` ... in the project and domain."""
    place = {} if everywhere else {"project": client.project, "domain": client.domain}
    secret = secret_file.read().strip() if secret_file is not None else ""
    wish = {"address": address, "secret": secret, "artifact": artifact, "launch_plan": launch_plan, **place}
    row = client.notifications.subscribe(kinds, channel=channel, **wish)
    say(row, f"subscription {row['id']}: {row['address'] or row['owner']} is told from now on", as_json=as_json)


@subscription.command()
@click.argument("number", type=int)
@json_option
@click.pass_obj
def remove(client: Client, number: int, as_json: bool) -> None:
    """Remove the subscription NUMBER."""
    client.notifications.unsubscribe(number)
    say({"removed": number}, f"subscription {number} is removed", as_json=as_json)


@subscription.command()
@click.argument("number", type=int)
@click.option("--limit", default=50, show_default=True)
@json_option
@click.pass_obj
def log(client: Client, number: int, limit: int, as_json: bool) -> None:
    """What was sent by the subscription NUMBER, and what came of it, newest first."""
    rows = list(islice(client.notifications.log(number), limit))
    columns = ["id", "created_at", "kind", "subject", "attempts", "sent_at", "given_up_at", "error"]
    show_rows(rows, columns, as_json=as_json)


@main.command()
@click.option("--unread", is_flag=True, help="Only what you have not read.")
@click.option("--read", is_flag=True, help="Mark all that is listed, and what is older, as read.")
@click.option("--limit", default=50, show_default=True)
@json_option
@click.pass_obj
def inbox(client: Client, unread: bool, read: bool, limit: int, as_json: bool) -> None:
    """What you were told, newest first."""
    rows = list(islice(client.notifications.inbox(unread=unread), limit))
    show_rows(rows, ["at", "said", "read_at"], as_json=as_json)
    if read and rows:
        client.notifications.mark_read(rows[0]["id"])
