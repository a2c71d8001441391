"""`causeway completion`: what a shell needs to complete the commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from causeway.cli.root import main


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL, e.g. `eval "$(causeway completion bash)"`."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not supported by this version of click")
    click.echo(found(main, {}, "causeway", "_CAUSEWAY_COMPLETE").source())
