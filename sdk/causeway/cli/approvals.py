"""`causeway approvals`, `approve` and `reject`: decisions that executions wait for."""

from __future__ import annotations

import click

from causeway.cli.options import json_option
from causeway.cli.output import show_rows
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
@click.pass_obj
def approve(client: Client, gate: int, comment: str) -> None:
    """Approve the waiting approval with this id."""
    client.decide(gate, approve=True, comment=comment)


@main.command()
@click.argument("gate", type=int)
@click.option("--comment", default="")
@click.pass_obj
def reject(client: Client, gate: int, comment: str) -> None:
    """Reject the waiting approval with this id."""
    client.decide(gate, approve=False, comment=comment)
