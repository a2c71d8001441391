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
    _decide(client, gate, approve=True, comment=comment, as_json=as_json)


@main.command()
@click.argument("gate", type=int)
@click.option("--comment", default="")
@json_option
@click.pass_obj
def reject(client: Client, gate: int, comment: str, as_json: bool) -> None:
    """Reject the waiting approval with this id."""
    _decide(client, gate, approve=False, comment=comment, as_json=as_json)


def _decide(client: Client, gate: int, *, approve: bool, comment: str, as_json: bool) -> None:
    found = client.decide(gate, approve=approve, comment=comment)
    if found["decided_at"] is None:
        quorum = found["rule"]["quorum" if approve else "rejections"]
        given = sum(vote["approve"] is approve and not vote["voided_at"] for vote in found["votes"])
        said = f"your vote about {gate} is kept: {given} of {quorum}"
        say({"id": gate, "approved": None, "given": given, "of": quorum}, said, as_json=as_json)
        return
    said = f"{'approved' if approve else 'rejected'} {gate}"
    say({"id": gate, "approved": approve}, said, as_json=as_json)
