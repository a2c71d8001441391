"""`causeway schedule`: what starts by the clock, when it did and when it will."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from causeway.cli.options import MOMENT, json_option
from causeway.cli.output import local_time, say, show_rows
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
    return {
        **found,
        "launch_plan": plan["name"],
        "plan_version": plan["version"],
        "when": f"{found['words']} (UTC)" if (found["kind"], found["time_zone"]) == ("cron", "UTC") else found["words"],
        "state": "paused" if found["paused_at"] else "active" if found["active"] else "inactive",
    }


@schedule.command()
@click.argument("schedule_id", type=int)
@json_option
@click.pass_obj
def pause(client: Client, schedule_id: int, as_json: bool) -> None:
    """Launch nothing by the clock until it is resumed."""
    row = client.connection.call("POST", f"schedules/{schedule_id}/pause")
    say(row, f"schedule {schedule_id} is paused", as_json=as_json)


@schedule.command()
@click.argument("schedule_id", type=int)
@json_option
@click.pass_obj
def resume(client: Client, schedule_id: int, as_json: bool) -> None:
    """Go on with the next time; what fell due meanwhile is launched by nobody."""
    row = client.connection.call("POST", f"schedules/{schedule_id}/resume")
    said = f"schedule {schedule_id} goes on at {local_time(row['next_fire_at'])}"
    say(row, said, as_json=as_json)


@schedule.command()
@click.argument("schedule_id", type=int)
@json_option
@click.pass_obj
def run(client: Client, schedule_id: int, as_json: bool) -> None:
    """Launch once now, whatever the clock says."""
    row = client.connection.call("POST", f"schedules/{schedule_id}/run")
    say(row, str(row["execution"]), as_json=as_json)


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


@schedule.command()
@click.argument("schedule_id", type=int)
@click.option(
    "--from",
    "start",
    type=MOMENT,
    required=True,
    help="The first time may be this one: 2026-05-01 or 2026-05-01T12:00Z.",
)
@click.option("--to", "end", type=MOMENT, required=True, help="Times before it; now at the latest.")
@click.option("--dry-run", is_flag=True, help="Only say which times would be launched.")
@json_option
@click.pass_obj
def backfill(client: Client, schedule_id: int, start: datetime, end: datetime, dry_run: bool, as_json: bool) -> None:
    """Launch what a schedule should have launched and did not, each time once, 100 at most."""
    asked = {"start": start.isoformat(), "end": end.isoformat()}
    if dry_run:
        rows = client.connection.call("GET", f"schedules/{schedule_id}/backfill", params=asked)["results"]
        show_rows(rows, ["at", "open", "execution", "error"], as_json=as_json)
        return
    done = client.connection.call("POST", f"schedules/{schedule_id}/backfill", json=asked)
    lines = [*done["launched"], *(f"refused at {one['at']}: {one['error']}" for one in done["refused"])]
    lines += [f"{done['left']} are left: ask once more"] if done["left"] else []
    say(done, "\n".join(lines) or "nothing was open", as_json=as_json)
