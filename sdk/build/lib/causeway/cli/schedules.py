"""`causeway schedule`: what starts by the clock, when it did and when it will."""

from __future__ import annotations

from typing import Any

import click

from causeway.cli.options import json_option
from causeway.cli.output import show_rows
from causeway.cli.root import main
from causeway.client import Client


@main.group()
def schedule() -> None:
    """Schedules of launch plans."""


@schedule.command("list")
@click.option("--all", "everything", is_flag=True, help="Of launch plans that are not active, too.")
@json_option
@click.pass_obj
def list_schedules(client: Client, everything: bool, as_json: bool) -> None:
    """Schedules of the project's launch plans, with their previous and next times."""
    asked = {"project": client.project, "domain": client.domain} | ({} if everything else {"active": "true"})
    rows = [_row(each) for each in client.connection.pages("schedules", **asked)]
    columns = ["id", "launch_plan", "plan_version", "when", "state", "last_fire_at", "next_fire_at"]
    show_rows(rows, columns, as_json=as_json)


def _row(found: dict[str, Any]) -> dict[str, Any]:
    plan = found["launch_plan"]
    cron = found["expression"] if "=" in found["expression"] else f"{found['expression']} (UTC)"
    return {
        **found,
        "launch_plan": plan["name"],
        "plan_version": plan["version"],
        "when": cron if found["kind"] == "cron" else f"every {found['expression']} seconds",
        "state": "active" if found["active"] else "inactive",
    }


@schedule.command()
@click.argument("schedule_id", type=int)
@click.option("--limit", default=50, help="At most so many, newest first.")
@json_option
@click.pass_obj
def fires(client: Client, schedule_id: int, limit: int, as_json: bool) -> None:
    """The times that a schedule dealt with, and what it launched."""
    pages = client.connection.pages(f"schedules/{schedule_id}/fires")
    rows = [row for row, _ in zip(pages, range(limit), strict=False)]
    show_rows(rows, ["at", "execution", "error"], as_json=as_json)
