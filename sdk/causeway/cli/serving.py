"""`causeway serve`: a version of a model behind HTTP, on this machine."""

from __future__ import annotations

import logging

import click

from causeway import addresses
from causeway.cli.root import main
from causeway.client import CausewayError, Client


@main.command()
@click.argument("name", metavar="ARTIFACT[:ALIAS|@VERSION]")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: a free one.")
@click.option("--loader", default="", metavar="MODULE:FUNCTION", help="Makes a model of the path or value.")
@click.option("--allow-pickle", is_flag=True, help="For forms that run code of whoever published them: joblib, pickle.")
@click.option("--every", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds between two looks.")
@click.pass_obj
def serve(client: Client, name: str, host: str, port: int, loader: str, allow_pickle: bool, every: float) -> None:
    """Answer POST /predict with the newest version that the name leads to, and keep up with it.

    Callers have to show what CAUSEWAY_SERVE_TOKEN says, where that is set.
    """
    from causeway.serving import Served
    from causeway.serving import serve as answer
    from causeway.serving.forms import CannotLoad

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    fixed = addresses.parse(name).version
    served = Served(client, name, version=fixed, loader=loader, allow_pickle=allow_pickle, every=every)
    try:
        answer(served, host=host, port=port)
    except CannotLoad as error:
        raise CausewayError(str(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped")
