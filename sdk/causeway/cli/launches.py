"""`causeway launch` and `causeway activate`: launch plans."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from causeway.cli.options import pairs
from causeway.cli.root import main
from causeway.client import Client


@main.command()
@click.argument("launch_plan")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=JSON", callback=pairs)
@click.option("--version", default="")
@click.option("--wait", default=0.0, help="Seconds to wait for the end, at most 300.")
@click.pass_obj
def launch(client: Client, launch_plan: str, inputs: dict[str, str], version: str, wait: float) -> None:
    """Launch LAUNCH_PLAN; with --wait, exit 1 unless it succeeded."""
    values = {name: _json_or_text(text) for name, text in inputs.items()}
    execution = client.launch(launch_plan, values, version=version, wait=wait)
    click.echo(json.dumps(execution, indent=2))
    if wait and execution["phase"] != "SUCCEEDED":
        sys.exit(1)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@main.command()
@click.argument("launch_plan")
@click.argument("version")
@click.option("--off", is_flag=True, help="Deactivate instead.")
@click.pass_obj
def activate(client: Client, launch_plan: str, version: str, off: bool) -> None:
    """Activate VERSION of LAUNCH_PLAN: its trigger and schedule start."""
    client.set_active(launch_plan, version, active=not off)
