"""`causeway launch` and `causeway activate`: launch plans."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from causeway.cli.options import json_option, pairs
from causeway.cli.output import say
from causeway.cli.root import FAILED, main
from causeway.client import Client


@main.command()
@click.argument("launch_plan")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=JSON", callback=pairs)
@click.option("--artifact", "-a", "artifacts", multiple=True, metavar="NAME=ARTIFACT", callback=pairs)
@click.option("--version", default="")
@click.option("--wait", default=0.0, help="Seconds to wait for the end.")
@json_option
@click.pass_obj
def launch(
    client: Client,
    launch_plan: str,
    inputs: dict[str, str],
    artifacts: dict[str, str],
    version: str,
    wait: float,
    as_json: bool,
) -> None:
    """Launch LAUNCH_PLAN; with --wait, exit 1 unless it succeeded.

    An input is JSON or plain text; `-a data=ml-dataset:champion` feeds a version of an artifact.
    """
    values = {name: _json_or_text(text) for name, text in inputs.items()}
    values |= {name: client.get(text) for name, text in artifacts.items()}
    execution = client.launch(launch_plan, values, version=version, wait=wait)
    key = "/".join(execution[part] for part in ("project", "domain", "name"))
    say(execution, f"{key} {execution['phase']}", as_json=as_json)
    if wait and execution["phase"] != "SUCCEEDED":
        sys.exit(FAILED)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@main.command()
@click.argument("launch_plan")
@click.argument("version")
@click.option("--off", is_flag=True, help="Deactivate instead.")
@json_option
@click.pass_obj
def activate(client: Client, launch_plan: str, version: str, off: bool, as_json: bool) -> None:
    """Activate VERSION of LAUNCH_PLAN: its trigger and schedule start."""
    client.set_active(launch_plan, version, active=not off)
    said = "is not active" if off else "is active"
    say({"launch_plan": launch_plan, "version": version, "active": not off}, f"{launch_plan} {said}", as_json=as_json)
