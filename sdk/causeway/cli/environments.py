"""`causeway environment`: what was built of ImageSpecs on this machine, for the local executor."""

from __future__ import annotations

import time
from pathlib import Path

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main
from causeway.images import FOLDER, environments
from causeway.images import prune as prune_folder


@main.group()
def environment() -> None:
    """Environments of ImageSpecs on this machine; CAUSEWAY_ENVIRONMENTS_DIR names their folder."""


folder_option = click.option(
    "--folder", envvar=FOLDER, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)


@environment.command("list")
@folder_option
@json_option
def list_environments(folder: Path, as_json: bool) -> None:
    """All of them, the longest unused first."""
    rows = [
        {
            "environment": one.digest,
            "packages": one.packages,
            "images": one.images,
            "unused_days": round((time.time() - one.used) / 86400, 1),
        }
        for one in environments(folder)
    ]
    show_rows(rows, ["environment", "packages", "images", "unused_days"], as_json=as_json)


@environment.command()
@folder_option
@click.option("--days", type=click.FloatRange(0), default=30.0, show_default=True, help="For which nobody used it.")
@json_option
def prune(folder: Path, days: float, as_json: bool) -> None:
    """Remove those that nobody used for some days; registering again makes one again."""
    gone = [one.digest for one in prune_folder(folder, unused_days=days)]
    say({"removed": gone}, f"{len(gone)} removed", as_json=as_json)
