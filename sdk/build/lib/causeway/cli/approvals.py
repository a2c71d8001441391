"""`causeway approvals`, `approve` and `reject`: decisions that executions wait for."""

from __future__ import annotations

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client


@main.command()
@json_option
@click.pass_obj
def approvals(client: Client, as_json: bool) -> None:
    """Approvals that wait for somebody."""
    show_rows(client.approvals(), ["id", "execution", "signal_id", "waiting_since", "expires_at"], as_json=as_json)


@main.command()
@click.argument("gate", type=int)
@click.option("--comment", default="")
@json_option
@click.pass_obj
def approve(client: Client, gate: int, comment: str, as_json: bool) -> None:
    """Approve the waiting approval with this id."""
    client.approve(gate, comment=comment)
    say({"id": gate, "approved": True}, f"approved {gate}", as_json=as_json)


@main.command()
@click.argument("gate", type=int)
@click.option("--comment", default="")
@json_option
@click.pass_obj
def reject(client: Client, gate: int, comment: str, as_json: bool) -> None:
    """Reject the waiting approval with this id."""
    client.reject(gate, comment=comment)
    say({"id": gate, "approved": False}, f"rejected {gate}", as_json=as_json)
