"""`causeway quota`: how much may be used, and `causeway queue`: what waits for what."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.client import Client

SETTINGS = ("weight", "preemption")  # these limit nothing
_COLUMNS = ["id", "subject", "resource", "used", "limit", "percent", "state", "waiting", "guaranteed", "borrows_from"]


@main.group()
def quota() -> None:
    """How much may be used at once, or in a window. A quota stops nothing that runs."""


@quota.command("list")
@click.option("--of", "project", default="", help="Only what holds for this project.")
@json_option
@click.pass_obj
def list_quotas(client: Client, project: str, as_json: bool) -> None:
    """Quotas of the projects you may read and of everything, with what is in use now."""
    rows = client.quotas.list(project)
    show_rows(rows if as_json else [_short(row) for row in rows], _COLUMNS, as_json=as_json)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: f"{row[name]:g}" for name in ("used", "limit", "guaranteed")}
    return {**row, **numbers, "resource": f"{row['resource']}{'/' + row['window'] if row['window'] else ''}"}


@quota.command()
@click.argument("number", type=int)
@json_option
@click.pass_obj
def show(client: Client, number: int, as_json: bool) -> None:
    """One quota, with what is in use now."""
    row = client.quotas.get(number)
    lines = [f"{key:<12} {value}" for key, value in row.items() if value not in (None, "")]
    say(row, "\n".join(lines), as_json=as_json)


class _NegativeNumbers(click.Command):
    """Takes `-1` for an amount, which is answered as such, and not for an option that is not there."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f" {one}" if re.match(r"-\.?\d", one) else one for one in args])


@quota.command("set", cls=_NegativeNumbers)
@click.argument("resource")
@click.argument("limit")
@click.option("--of", "project", help="A project; without any of these four: of everything.")
@click.option("--in", "domain", help="A domain of the project.")
@click.option("--launch-plan", help="With its project and domain.")
@click.option("--user", help="Whoever launched, in all projects.")
@click.option("--window", type=click.Choice(["day", "week", "month"]), help="Of cpu-hours and gpu-hours.")
@click.option("--warn-at", type=int, help="Percent of the limit.  [default: 80]")
@click.option("--guaranteed", help="Of the limit: kept free in wider quotas.")
@click.option("--borrows-from", help="Another project whose unused part may be used.")
@click.option("--from", "valid_from", type=click.DateTime(), help="From when it holds, in UTC.")
@click.option("--until", "valid_until", type=click.DateTime(), help="Until when it holds, in UTC.")
@json_option
@click.pass_obj
def set_quota(client: Client, /, resource: str, limit: str, as_json: bool, **given: Any) -> None:
    """Set a quota, or replace that of the same scope, resource and window.

    RESOURCE: executions, launches (a minute), attempts (pods), cpu, memory, ephemeral-storage, gpu, gpu:MODEL,
    cpu-hours, gpu-hours, weight (of a project in turns), preemption (1 or 0), or a name of
    Kubernetes such as google.com/tpu. LIMIT: a number or a quantity such as 16Gi.
    """
    times = {name: _utc(given.pop(name)) for name in ("valid_from", "valid_until")}
    row = client.quotas.set(resource.strip(), limit.strip(), **given, **times)
    amounts = f"{row['limit']:g}" if row["resource"] in SETTINGS else f"{row['used']:g} of {row['limit']:g} in use"
    text = f"{row['resource']} of {row['subject']}: {amounts} (quota {row['id']})"
    if row["state"] == "over":
        text += "; what runs goes on, nothing more starts"
    say(row, text, as_json=as_json)


def _utc(at: datetime | None) -> str | None:
    return f"{at.isoformat()}Z" if at is not None else None


@quota.command()
@click.argument("number", type=int)
@json_option
@click.pass_obj
def remove(client: Client, number: int, as_json: bool) -> None:
    """Remove a quota: what waited for it starts."""
    client.quotas.remove(number)
    say({"removed": number}, f"quota {number} is removed", as_json=as_json)


@main.command()
@click.option("--of", "project", default="", help="Only of this project.")
@click.option("--places", is_flag=True, help="Where work runs instead: executors and clusters, and how full they are.")
@json_option
@click.pass_obj
def queue(client: Client, project: str, places: bool, as_json: bool) -> None:
    """What waits now and for what, what waits longest first."""
    if places and project:
        raise click.UsageError("--of does not go with --places, which tells of all projects")
    if places:
        rows = client.quotas.places()
        shown = rows if as_json else [{**row, **_told(row)} for row in rows]
        show_rows(shown, ["place", "processes", "running", "queued", "cpu", "memory", "gpu"], as_json=as_json)
        return
    columns = ["project", "domain", "place", "code", "count", "since", "starts_at", "message"]
    show_rows(client.quotas.queue(project), columns, as_json=as_json)


@main.command()
@click.option(
    "--by",
    default="project",
    show_default=True,
    help="project, domain, user, launch_plan, workflow, day, hour.",
)
@click.option("--start", default="", help="In ISO 8601.  [default: the beginning of this month, UTC]")
@click.option("--end", default="", help="In ISO 8601.  [default: now]")
@json_option
@click.pass_obj
def usage(client: Client, by: str, start: str, end: str, as_json: bool) -> None:
    """What attempts asked for, times the hours that they ran; of the projects you may read."""
    rows = client.quotas.usage(by=by, start=start, end=end)
    columns = [name.strip() for name in by.split(",") if name.strip()]
    shown = rows if as_json else [{**row["group"], **row, **_amounts(row)} for row in rows]
    show_rows(shown, [*columns, "resource", "hours", "cost"], as_json=as_json)


def _told(row: dict[str, Any]) -> dict[str, str]:
    """Which place it is, and of each resource what is asked for of what there is."""
    found = {"place": row["cluster"] or row["executor"], "cpu": "", "memory": "", "gpu": ""}
    for load in row["loads"]:
        unit = 2**30 if load["resource"] == "memory" else 1
        of = f" of {load['capacity'] / unit:g}" if load["capacity"] else ""
        found[load["resource"]] = f"{load['asked'] / unit:.4g}{of}{' GiB' if unit > 1 else ''}"
    return found


def _amounts(row: dict[str, Any]) -> dict[str, str]:
    cost, of, hours = row.get("cost"), row["resource"], row["hours"]
    if of in ("memory", "ephemeral-storage"):  # told in bytes
        of, hours = f"{of} (GiB)", hours / 2**30
    return {"resource": of, "hours": f"{hours:.3f}", "cost": "" if cost is None else f"{cost:.2f}"}


@main.group()
def price() -> None:
    """What an hour of a resource costs: of a core, a GiB of memory, a device."""


@price.command("list")
@json_option
@click.pass_obj
def list_prices(client: Client, as_json: bool) -> None:
    """All that were set: of each resource the last one that has begun holds."""
    show_rows(
        client.quotas.prices(), ["id", "resource", "per_hour", "currency", "valid_from", "set_by"], as_json=as_json
    )


@price.command("set", cls=_NegativeNumbers)
@click.argument("resource")
@click.argument("per_hour", type=float)
@click.option("--currency", default="", help="Such as EUR; the same for all.  [default: that of the others]")
@click.option("--from", "valid_from", type=click.DateTime(), help="From when on, in UTC.  [default: now]")
@json_option
@click.pass_obj
def set_price(
    client: Client, /, resource: str, per_hour: float, currency: str, valid_from: datetime | None, as_json: bool
) -> None:
    """Set what an hour of RESOURCE costs: cpu, memory (a GiB), gpu, gpu:MODEL, attempts, google.com/tpu."""
    row = client.quotas.set_price(resource.strip(), per_hour, currency=currency, valid_from=_utc(valid_from))
    text = (
        f"{row['resource']}: {row['per_hour']:g} {row['currency']} an hour from {row['valid_from']} (price {row['id']})"
    )
    say(row, text, as_json=as_json)


@price.command("remove")
@click.argument("number", type=int)
@json_option
@click.pass_obj
def remove_price(client: Client, number: int, as_json: bool) -> None:
    """Remove a price: the one before it holds on, or none."""
    client.quotas.remove_price(number)
    say({"removed": number}, f"price {number} is removed", as_json=as_json)
