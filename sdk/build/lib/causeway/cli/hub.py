"""`causeway artifact import`: from the Hugging Face hub."""

from __future__ import annotations

import click

from causeway.cli import progress
from causeway.cli.artifacts import artifact
from causeway.cli.options import json_option, partition_option
from causeway.cli.output import show_version
from causeway.client import Client


@artifact.command("import")
@click.argument("address")
@click.option("--name", default="", help="Of the artifact.  [default: the repository's]")
@click.option("--by-reference", is_flag=True, help="Refer to the commit on the hub, and copy nothing.")
@partition_option
@json_option
@click.pass_obj
def import_artifact(
    client: Client, address: str, name: str, by_reference: bool, partitions: dict[str, str], as_json: bool
) -> None:
    """Publish the repository at ADDRESS: hf://ORG/REPO[@REVISION], or hf://datasets/ORG/REPO[@REVISION].

    Its commit becomes the version, its README the card. Needs `pip install huggingface_hub`; HF_ENDPOINT and HF_TOKEN
    are used as that has it.
    """
    from causeway.hub import import_from_hub  # here: the other commands do not need it

    with progress.shown() as bar:
        made = import_from_hub(
            client, address, name=name, by_reference=by_reference, partitions=partitions, progress=bar
        )
    show_version(made, as_json=as_json)
