"""`causeway cluster`: the Kubernetes clusters that tasks run on, for administrators of the platform."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import FAILED, main
from causeway.client import Client


@main.group()
def cluster() -> None:
    """Kubernetes clusters that tasks run on as pods; for administrators of the platform."""


@cluster.command("list")
@json_option
@click.pass_obj
def list_clusters(client: Client, as_json: bool) -> None:
    """All clusters: whether they take new attempts, and whether the process that looks after their pods is alive."""
    columns = ["name", "state", "attempts", "alive", "source", "kubeconfig", "problem"]
    show_rows(client.clusters.list(), columns, as_json=as_json)


@cluster.command()
@json_option
@click.pass_obj
def kept(client: Client, as_json: bool) -> None:
    """Spark, Dask and Ray that stay on Causeway's machines for later tasks."""
    columns = ["form", "project", "domain", "image", "in_use", "keep", "since", "machine"]
    show_rows(client.clusters.kept(), columns, as_json=as_json)


@cluster.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(client: Client, name: str, as_json: bool) -> None:
    """Its settings, who set them and when."""
    row = client.clusters.get(name)
    say(
        row,
        "\n".join(f"{key:<12} {_text(value)}" for key, value in row.items() if value not in (None, "")),
        as_json=as_json,
    )


def _text(value: Any) -> str:
    return json.dumps(value, indent=2) if isinstance(value, dict) else str(value)


@cluster.command("set")
@click.argument("name")
@click.option(
    "--from-file", type=click.File(), help="YAML or JSON that describes it, in place of what it was; - for the input."
)
@click.option(
    "--kubeconfig", type=click.File(), help="A file whose content is kept, encrypted; it has to be flattened."
)
@click.option("--image", help="Where a task names none; with flytekit in it.")
@click.option("--context", help="Of the kubeconfig.")
@click.option("--open/--closed", "is_open", default=None, help="Whether new attempts go there.")
@json_option
@click.pass_obj
def set_cluster(
    client: Client,
    name: str,
    from_file: TextIO | None,
    kubeconfig: TextIO | None,
    image: str | None,
    context: str | None,
    is_open: bool | None,
    as_json: bool,
) -> None:
    """Set a cluster, or change what is named of it."""
    text = kubeconfig.read() if kubeconfig else None
    named = {"image": image, "context": context, "open": is_open}
    changes = {key: value for key, value in named.items() if value is not None}
    if from_file is not None:
        row = client.clusters.set(name, from_file.read(), kubeconfig=text)
        text = None
    elif not any(one["name"] == name for one in client.clusters.list()):
        row, changes, text = client.clusters.set(name, changes, kubeconfig=text), {}, None
    elif not changes and text is None:
        raise click.UsageError("nothing to set: give --from-file, --kubeconfig, --image, --context, --open or --closed")
    if changes or text is not None:
        row = client.clusters.change(name, changes, kubeconfig=text)
    say(row, f"{name} is set, {'open' if row['open'] else 'closed'} for new attempts", as_json=as_json)


@cluster.command()
@click.argument("name")
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for what is on it to end.")
@json_option
@click.pass_context
def drain(context: click.Context, name: str, wait: float, as_json: bool) -> None:
    """Close it for new attempts; those on it go on. With --wait it fails where some are left after that time."""
    row = context.obj.clusters.drain(name, wait=wait)
    left = row["attempts"]
    say(row, f"{name} takes no new attempts; {left or 'none'} are on it", as_json=as_json)
    if wait and left:
        context.exit(FAILED)


@cluster.command()
@click.argument("name")
@json_option
@click.pass_obj
def remove(client: Client, name: str, as_json: bool) -> None:
    """Remove a cluster; refused while attempts are on it."""
    client.clusters.remove(name)
    say({"removed": name}, f"{name} is removed", as_json=as_json)


@cluster.command()
@click.argument("name")
@json_option
@click.pass_context
def check(context: click.Context, name: str, as_json: bool) -> None:
    """What it has and what is missing there, asked of it now; fails where tasks could not run."""
    lines = context.obj.clusters.check(name)
    say({"name": name, "lines": lines}, "\n".join(lines), as_json=as_json)
    if not lines[0].startswith(f"cluster {name}: Kubernetes ") or any("MISSING" in line for line in lines):
        context.exit(FAILED)
