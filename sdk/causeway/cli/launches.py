"""`causeway launch` and `causeway activate`: launch plans."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from causeway.cli.executions import key_of, page_of, state_of
from causeway.cli.options import json_option, pairs
from causeway.cli.output import say
from causeway.cli.progress import shown
from causeway.cli.root import FAILED, main
from causeway.client import Client
from causeway.transfers import look_at, upload


@main.command()
@click.argument("launch_plan")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", callback=pairs)
@click.option("--artifact", "-a", "artifacts", multiple=True, metavar="NAME=ARTIFACT", callback=pairs)
@click.option("--version", default="")
@click.option("--priority", type=click.Choice(["high", "medium", "low"]), default=None, help="Whose turn comes first.")
@click.option("--wait", default=0.0, help="Seconds to wait for the end.")
@json_option
@click.pass_obj
def launch(
    client: Client,
    launch_plan: str,
    inputs: dict[str, str],
    artifacts: dict[str, str],
    version: str,
    priority: str | None,
    wait: float,
    as_json: bool,
) -> None:
    """Launch LAUNCH_PLAN; with --wait, exit 1 unless it succeeded.

    The type of an input says how VALUE is read: text as it is, lists and objects as JSON, a file as a URI, or as a path
    on this machine, which is uploaded. `-a data=ml-dataset:champion` feeds a version of an artifact.
    """
    uploaded = _upload(client, launch_plan, version, {name: text for name, text in inputs.items() if _is_local(text)})
    versions = {name: client.get(text) for name, text in artifacts.items()}
    texts = {**inputs, **uploaded}
    execution = client.launch(launch_plan, versions, texts=texts, version=version, priority=priority or "", wait=wait)
    said = f"{key_of(execution)} {state_of(execution)}\n{page_of(client, execution)}"
    say(execution, said, as_json=as_json)
    if wait and execution["phase"] != "SUCCEEDED":
        sys.exit(FAILED)


def _is_local(text: str) -> bool:
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # too long for a path, or with characters that none has
        return False


def _upload(client: Client, launch_plan: str, version: str, paths: dict[str, str]) -> dict[str, str]:
    """The URIs of those paths that are meant for inputs which take data, once uploaded."""
    if not paths:
        return {}
    shapes = {each["name"]: each["shape"] for each in client.launch_plan(launch_plan, version)["inputs"]}
    uris: dict[str, str] = {}
    for name, path in paths.items():
        if shape := shapes.get(name, ""):
            with shown() as bar:
                files, folder = look_at(Path(path), bar)
                if folder != (shape == "directory") and shape != "dataset":
                    raise click.UsageError(f"input {name} takes a {shape}, {path} is none")
                scope = f"{client.project}/{client.domain}"
                uris[name] = upload(client.connection, scope, files, folder=folder, progress=bar)["uri"]
    return uris


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
