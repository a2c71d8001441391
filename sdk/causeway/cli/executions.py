"""`causeway execution`: what runs and ran, its logs, and stopping or repeating it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from causeway.cli.options import json_option, pairs
from causeway.cli.output import local_time, say, show_rows
from causeway.cli.root import FAILED, main
from causeway.client import Client

STATES = ("queued", "waiting", "gated", "starting", "running")
PHASES = ("succeeded", "failed", "aborted", "timed_out")
PAUSE = 1.0  # seconds between two looks at what runs
Execution = Mapping[str, Any]


@main.group()
def execution() -> None:
    """Executions: list, look at, follow, stop, repeat.

    NAME is an execution's name, or project/domain/name.
    """


def key_of(found: Execution) -> str:
    return "/".join(found[part] for part in ("project", "domain", "name"))


def page_of(client: Client, found: Execution) -> str:
    """Address of its page in the console."""
    path = "/".join(quote(found[part], safe="") for part in ("project", "domain", "name"))
    return f"{client.connection.url}/executions/{path}/"


def state_of(found: Execution) -> str:
    """What it does while it goes on, with the reason; its phase else."""
    now = found.get("doing")
    if not now:
        return str(found["phase"]).lower().replace("_", " ")
    return f"{now['state']} {now['reason']}".strip()


def duration_of(found: Execution) -> str:
    if not found.get("started_at"):
        return ""
    start = datetime.fromisoformat(found["started_at"].replace("Z", "+00:00"))
    ended = found.get("ended_at")
    end = datetime.fromisoformat(ended.replace("Z", "+00:00")) if ended else datetime.now(timezone.utc)
    return str(timedelta(seconds=round((end - start).total_seconds())))


def _path(client: Client, name: str) -> str:
    parts = name.split("/") if name.count("/") == 2 else [client.project, client.domain, name]
    return "executions/" + "/".join(quote(part, safe="") for part in parts)


@execution.command("list")
@click.option("--state", type=click.Choice([*STATES, *PHASES], case_sensitive=False), help="Only those in it.")
@click.option("--plan", default="", help="Only those of this launch plan.")
@click.option("--workflow", default="", help="Only those of this workflow.")
@click.option("--by", default="", help="Only those this account launched.")
@click.option("--search", default="", help="As in the console: words, 'input.learning_rate:0.1 phase:failed'.")
@click.option("--all-projects", is_flag=True, help="Not only the project and domain chosen.")
@click.option("--limit", default=20, show_default=True)
@json_option
@click.pass_obj
def list_executions(
    client: Client,
    state: str | None,
    plan: str,
    workflow: str,
    by: str,
    search: str,
    all_projects: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Executions, newest first, with what they do and why they wait."""
    asked = {} if all_projects else {"project": client.project, "domain": client.domain}
    named = {"launch_plan": plan, "workflow": workflow, "principal": by, "q": search}
    asked |= {key: value for key, value in named.items() if value}
    if state:
        asked["state" if state.lower() in STATES else "phase"] = state.lower()
    found = list(islice(client.connection.pages("executions", **asked), limit))
    rows = found if as_json else [_row(each, all_projects) for each in found]
    show_rows(rows, ["name", "state", "plan", "by", "created_at", "duration"], as_json=as_json)


def _row(found: Execution, whole_key: bool) -> dict[str, Any]:
    plan = found["launch_plan"] or found["workflow"]
    return {
        "name": key_of(found) if whole_key else found["name"],
        "state": state_of(found),
        "plan": plan["name"].rpartition(".")[2],
        "by": found["principal"],
        "created_at": found["created_at"],
        "duration": duration_of(found),
    }


@execution.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """What it does, its nodes, and why it failed."""
    path = _path(client, name)
    found = client.connection.call("GET", path)
    nodes = _nodes(client, path)
    if as_json:
        say({**found, "nodes": nodes}, "", as_json=True)
        return
    facts = {
        "execution": key_of(found),
        "state": state_of(found),
        "launch plan": _named(found["launch_plan"]),
        "workflow": _named(found["workflow"]),
        "launched by": f"{found['principal']} ({found['mode'].lower()})",
        "created": local_time(found["created_at"]),
        "duration": duration_of(found),
        "aborted": f"by {found['aborted_by']}: {found['abort_cause']}" if found["abort_cause"] else "",
        "page": page_of(client, found),
    }
    click.echo("\n".join(f"{key:<12} {value}" for key, value in facts.items() if value))
    shown = [node for node in nodes if node["kind"] not in ("start", "end")]
    if shown:
        click.echo()
        rows = [
            {**node, "node": node["node_id"], "state": state_of(node), "duration": duration_of(node)} for node in shown
        ]
        show_rows(rows, ["node", "kind", "state", "attempts", "duration"], as_json=False)
    if found["error"]:
        click.echo(f"\n{found['error']['code']}: {found['error']['message'].strip()}")


def _named(entity: Mapping[str, Any] | None) -> str:
    return f"{entity['name']}@{entity['version']}" if entity else ""


@execution.command()
@click.argument("name")
@click.option("--timeout", default=0.0, help="Seconds to watch at most; 0: until it ends.")
@json_option
@click.pass_obj
def watch(client: Client, name: str, timeout: float, as_json: bool) -> None:
    """Say whenever it does something else, until it ends; exit 1 unless it succeeded."""
    until = time.monotonic() + timeout if timeout else None
    said, path = "", _path(client, name)
    while True:
        found = client.connection.call("GET", path)
        if not as_json and said != (now := state_of(found)):
            click.echo(f"{datetime.now().astimezone():%H:%M:%S}  {now}")
            said = now
        if found["ended_at"] or (until is not None and time.monotonic() >= until):
            break
        time.sleep(PAUSE)
    if as_json:
        say(found, "", as_json=True)
    _fail_unless_succeeded(found)


def _fail_unless_succeeded(found: Execution) -> None:
    if found["phase"] != "SUCCEEDED":
        if found.get("error"):
            click.echo(f"{found['error']['code']}: {found['error']['message'].strip()}", err=True)
        sys.exit(FAILED)


@execution.command()
@click.argument("name")
@click.option("--node", default="", help="Only of this node; else of all, one after the other.")
@click.option("--attempt", type=click.IntRange(min=1), help="Only this one; else the newest.")
@click.option("--item", type=click.IntRange(min=0), help="Only this item of a map.")
@click.option("--replica", default="", help="Only this one of a distributed job, such as worker-1; else its main one.")
@click.option("--tail", type=click.IntRange(min=1), help="Only the last lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on while it is written.")
@click.pass_obj
@click.option("--json", "as_json", is_flag=True, help="Print JSON: node, attempt, item and text of each log.")
def logs(
    client: Client,
    name: str,
    node: str,
    attempt: int | None,
    item: int | None,
    replica: str,
    tail: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """What its tasks wrote, in the order in which they began."""
    path = _path(client, name)
    found = [{**each, "replica": replica} for each in _attempts(client, path, node, attempt, item)]
    if not found:
        raise click.ClickException("no task of it has begun yet")
    if as_json:
        rows = [{**_said(each), "text": _log(client, path, each, tail=tail)[0]} for each in found]
        say(rows, "", as_json=True)
        return
    for number, each in enumerate(found):
        if len(found) > 1:
            click.echo(("\n" if number else "") + f"== {_called(each)} ==")
        _print_log(client, path, each, tail=tail, follow=follow)


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"node": row["node"], "attempt": row["attempt"] + 1, "item": row["index"] if row["index"] >= 0 else None}


def _called(row: Mapping[str, Any]) -> str:
    item = f", item {row['index']}" if row["index"] >= 0 else ""
    return f"{row['node']}{item}, attempt {row['attempt'] + 1}"


def _attempts(client: Client, path: str, node: str, attempt: int | None, item: int | None) -> Iterator[dict[str, Any]]:
    """Of each node and item that one attempt, or the newest."""
    listed = [node] if node else _nodes_in_order(client, path)
    for node_id in listed:
        asked = {} if item is None else {"index": item}
        rows = list(client.connection.pages(f"{path}/nodes/{quote(node_id, safe='')}/attempts", **asked))
        newest: dict[int, dict[str, Any]] = {}
        for row in rows:
            if attempt in (None, row["attempt"] + 1):
                kept = newest.setdefault(row["index"], row)
                newest[row["index"]] = max(kept, row, key=lambda each: each["attempt"])
        yield from ({**newest[index], "node": node_id} for index in sorted(newest))


def _nodes_in_order(client: Client, path: str) -> list[str]:
    return [each["node_id"] for each in _nodes(client, path) if each["kind"] in ("task", "array")]


def _nodes(client: Client, path: str) -> list[dict[str, Any]]:
    """In the order in which they began: the API tells the newest first."""
    return list(client.connection.pages(f"{path}/nodes"))[::-1]


def _log(
    client: Client, path: str, row: Mapping[str, Any], *, tail: int | None = None, offset: int = 0
) -> tuple[str, int]:
    """Its text, and the offset that goes on."""
    asked: dict[str, Any] = {"index": row["index"]} | ({"tail": tail} if tail else {"offset": offset})
    asked |= {"replica": row["replica"]} if row["replica"] else {}
    place = f"{path}/nodes/{quote(row['node'], safe='')}/attempts/{row['attempt']}/log"
    answer = client.connection.raw("GET", place, params=asked)
    return answer.content.decode("utf-8", "replace"), int(answer.headers.get("Causeway-Next-Offset") or offset)


def _print_log(client: Client, path: str, row: Mapping[str, Any], *, tail: int | None, follow: bool) -> None:
    text, offset = _log(client, path, row, tail=tail)
    click.echo(text, nl=False)
    while True:
        is_last = not follow or _has_ended(client, path, row)  # before the read: so that nothing is missed
        while True:
            text, offset = _log(client, path, row, offset=offset)
            click.echo(text, nl=False)
            if not text:
                break
        if is_last:
            return
        time.sleep(PAUSE)


def _has_ended(client: Client, path: str, row: Mapping[str, Any]) -> bool:
    rows = client.connection.pages(f"{path}/nodes/{quote(row['node'], safe='')}/attempts", index=row["index"])
    if row["index"] < 0:
        rows = client.connection.pages(f"{path}/nodes/{quote(row['node'], safe='')}/attempts")
    same = (each for each in rows if (each["attempt"], each["index"]) == (row["attempt"], row["index"]))
    return all(each["ended_at"] for each in same)


@execution.command()
@click.argument("name")
@click.option("--cause", default="", help="Why; it is kept with the execution.")
@json_option
@click.pass_obj
def abort(client: Client, name: str, cause: str, as_json: bool) -> None:
    """Stop it and everything it runs."""
    cause = cause or "aborted on the command line"
    found = client.connection.call("POST", f"{_path(client, name)}/abort", json={"cause": cause})
    say(found, f"{key_of(found)} {state_of(found)}", as_json=as_json)


def _started(client: Client, found: Execution, wait: float, as_json: bool) -> None:
    found = client.wait(found, wait) if wait else found
    say(found, f"{key_of(found)} {state_of(found)}\n{page_of(client, found)}", as_json=as_json)
    if wait:
        _fail_unless_succeeded(found)


WAIT = click.option("--wait", default=0.0, help="Seconds to wait for the end; then exit 1 unless it succeeded.")


@execution.command()
@click.argument("name")
@click.option(
    "--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", callback=pairs, help="Instead of its own."
)
@WAIT
@json_option
@click.pass_obj
def relaunch(client: Client, name: str, inputs: dict[str, str], wait: float, as_json: bool) -> None:
    """Launch the same once more, with the same inputs but those given."""
    found = client.connection.call("POST", f"{_path(client, name)}/relaunch", json={"texts": inputs})
    _started(client, found, wait, as_json)


@execution.command()
@click.argument("name")
@WAIT
@json_option
@click.pass_obj
def recover(client: Client, name: str, wait: float, as_json: bool) -> None:
    """Launch it once more, taking over what succeeded: the rest runs again."""
    _started(client, client.connection.call("POST", f"{_path(client, name)}/recover"), wait, as_json)
