"""`causeway trigger`: what starts by itself, what came of it, and its switches."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import click

from causeway import addresses
from causeway.cli.options import MOMENT, json_option, partition_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client


@main.group()
def trigger() -> None:
    """Triggers of launch plans and their ledger."""


@trigger.command("list")
@click.option("--artifact", default="", help="That watch this artifact.")
@click.option("--all", "everything", is_flag=True, help="Of launch plans that are not active, too.")
@json_option
@click.pass_obj
def list_triggers(client: Client, artifact: str, everything: bool, as_json: bool) -> None:
    """Triggers of the project's launch plans."""
    asked: dict[str, Any] = {"project": client.project, "domain": client.domain}
    if artifact:
        asked["artifact_name"] = artifact
    if not everything:
        asked["active"] = "true"
    rows = [_row(each) for each in client.connection.pages("triggers", **asked)]
    show_rows(rows, ["id", "launch_plan", "plan_version", "mode", "watches", "state", "limits"], as_json=as_json)


def _row(found: dict[str, Any]) -> dict[str, Any]:
    plan, limits = found["launch_plan"], found["limits"]
    state = "active" if found["active"] else "inactive"
    return {
        **found,
        "launch_plan": plan["name"],
        "plan_version": plan["version"],
        "watches": " ".join(each["name"] for each in found["sources"]),
        "state": f"paused ({found['backlog']})" if found["paused_at"] else state,
        "limits": {key: value for key, value in limits.items() if value and (key, value) != ("on_limit", "queue")},
    }


@trigger.command()
@click.argument("trigger_id", type=int)
@json_option
@click.pass_obj
def show(client: Client, trigger_id: int, as_json: bool) -> None:
    """One trigger."""
    row = _row(client.connection.call("GET", f"triggers/{trigger_id}"))
    show_rows([row], ["id", "launch_plan", "plan_version", "mode", "watches", "state", "limits"], as_json=as_json)


@trigger.command()
@click.argument("trigger_id", type=int, required=False)
@click.option("--outcome", default="", help="fired, waiting, skipped, unresolved ...")
@click.option("--artifact", default="", help="Versions of this artifact.")
@click.option("--limit", default=50, help="At most so many, newest first.")
@json_option
@click.pass_obj
def firings(client: Client, trigger_id: int | None, outcome: str, artifact: str, limit: int, as_json: bool) -> None:
    """The ledger of one trigger, or of all in the project."""
    asked: dict[str, Any] = {"outcome": outcome, "artifact_name": artifact}
    if trigger_id is None:
        asked |= {"project": client.project, "domain": client.domain}
    path = "firings" if trigger_id is None else f"triggers/{trigger_id}/firings"
    pages = client.connection.pages(path, **{key: value for key, value in asked.items() if value})
    rows = [row for row, _ in zip(pages, range(limit), strict=False)]
    show_rows(rows, ["id", "artifact", "version", "outcome", "execution", "reason"], as_json=as_json)


@trigger.command()
@click.argument("firing_id", type=int)
@json_option
@click.pass_obj
def firing(client: Client, firing_id: int, as_json: bool) -> None:
    """One row of the ledger: what it was, oldest first, and what it is."""
    found = client.connection.call("GET", f"firings/{firing_id}")
    if as_json:
        say(found, "", as_json=True)
    else:
        show_rows([*found["history"], found], ["outcome", "at", "execution", "reason"], as_json=False)


@trigger.command()
@click.argument("trigger_id", type=int)
@click.option("--backlog", type=click.Choice(["keep", "drop"]), default="keep", show_default=True)
@json_option
@click.pass_obj
def pause(client: Client, trigger_id: int, backlog: str, as_json: bool) -> None:
    """Launch nothing for now; what is published meanwhile is kept for later, or dropped."""
    found = client.connection.call("POST", f"triggers/{trigger_id}/pause", json={"backlog": backlog})
    say(found, f"trigger {trigger_id} is paused", as_json=as_json)


@trigger.command()
@click.argument("trigger_id", type=int)
@json_option
@click.pass_obj
def resume(client: Client, trigger_id: int, as_json: bool) -> None:
    """Launch again, what waits first."""
    found = client.connection.call("POST", f"triggers/{trigger_id}/resume")
    say(found, f"trigger {trigger_id} goes on", as_json=as_json)


@trigger.command()
@click.argument("trigger_id", type=int)
@click.option("--max-concurrent", type=int, help="Unfinished triggered executions at a time.")
@click.option("--rate", type=(int, float), metavar="COUNT SECONDS", help="Launches in so many seconds.")
@click.option("--on-limit", type=click.Choice(["queue", "skip", "replace"]), default="queue", show_default=True)
@click.option("--newest-only", is_flag=True, help="Of what waits, only the newest version of each partition.")
@click.option("--reset", is_flag=True, help="The program's limits again.")
@json_option
@click.pass_obj
def limit(
    client: Client,
    trigger_id: int,
    max_concurrent: int | None,
    rate: tuple[int, float] | None,
    on_limit: str,
    newest_only: bool,
    reset: bool,
    as_json: bool,
) -> None:
    """Set other limits than the program's: all of them, those left out do not hold."""
    path = f"triggers/{trigger_id}/limits"
    if reset:
        found = client.connection.call("DELETE", path)
    else:
        count, seconds = rate or (None, None)
        body: dict[str, Any] = {"max_concurrent": max_concurrent, "rate_count": count, "rate_seconds": seconds}
        body |= {"on_limit": on_limit, "newest_only": newest_only}
        found = client.connection.call("PUT", path, json=body)
    say(found, f"trigger {trigger_id} has other limits", as_json=as_json)


@trigger.command()
@click.argument("firing_id", type=int)
@json_option
@click.pass_obj
def retry(client: Client, firing_id: int, as_json: bool) -> None:
    """Launch after all for a version that was skipped, expired, failed or did not resolve."""
    found = client.connection.call("POST", f"firings/{firing_id}/retry")
    say(found, f"{found['outcome']} {found['execution'] or found['reason']}", as_json=as_json)


@trigger.command()
@click.argument("artifact")
@click.argument("version", required=False)
@partition_option
@click.option("--time-partition", type=MOMENT, help="ISO 8601, in UTC unless it says otherwise.")
@click.option("--inactive", is_flag=True, help="Launch plans that are not active, too.")
@json_option
@click.pass_obj
def preview(
    client: Client,
    artifact: str,
    version: str | None,
    partitions: dict[str, str],
    time_partition: datetime | None,
    inactive: bool,
    as_json: bool,
) -> None:
    """What VERSION of ARTIFACT, or one with these partitions, would trigger, with which inputs.

    ARTIFACT is a name, or a flyte:// address as everywhere.
    """
    path, asked = client.artifact_path(artifact), addresses.parse(artifact)
    version, partitions = version or asked.version or asked.alias or None, {**asked.partitions, **partitions}
    if version is not None:
        if partitions or time_partition:
            raise click.UsageError("a version has its partitions: give one or the other")
        query = {"inactive": "true"} if inactive else {}
        found = client.connection.call("GET", f"{path}/versions/{quote(version, safe='')}/triggers", params=query)
    else:
        moment = time_partition.isoformat() if time_partition else asked.time_partition or None
        body = {"partitions": partitions, "time_partition": moment, "inactive": inactive}
        found = client.connection.call("POST", f"{path}/trigger-preview", json=body)
    rows = [
        {**each, "launch_plan": each["launch_plan"]["name"], "inputs": _inputs(each["inputs"], as_json)}
        for each in found["results"]
    ]
    show_rows(rows, ["launch_plan", "launches", "reason", "inputs"], as_json=as_json)


def _inputs(notes: dict[str, dict[str, Any]], as_json: bool) -> dict[str, Any]:
    if as_json:
        return notes
    return {name: note.get("version") or note.get("explanation") or note["via"] for name, note in notes.items()}
