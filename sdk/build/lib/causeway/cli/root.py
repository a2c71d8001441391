"""The group that all commands of `causeway` belong to, and what their errors mean to the shell."""

from __future__ import annotations

import errno
from typing import Any

import click

from causeway.client import CausewayError, Client

FAILED, USAGE, NOT_FOUND, DENIED, UNAVAILABLE = 1, 2, 3, 4, 5
EXIT_CODES = {401: DENIED, 403: DENIED, 404: NOT_FOUND}


def exit_code(error: CausewayError) -> int:
    """0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 the server cannot be reached."""
    return UNAVAILABLE if error.unavailable else EXIT_CODES.get(error.status, FAILED)


class Commands(click.Group):
    """Turns the API's refusals, and the machine's, into one line and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CausewayError as error:
            click.echo(f"Error: {'; '.join(str(error).splitlines())}", err=True)
            context.exit(exit_code(error))
        except OSError as error:  # a folder that cannot be written, a full disk
            if error.errno == errno.EPIPE:  # who reads the output went away: click's to deal with
                raise
            click.echo(f"Error: {error}", err=True)
            context.exit(FAILED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", envvar="CAUSEWAY_URL", help="Of the console.  [default: http://localhost:8000]")
@click.option("--token", envvar="CAUSEWAY_TOKEN", help="Made on the console's token page.")
@click.option("--project", "-p", envvar="CAUSEWAY_PROJECT", help="[default: flytesnacks]")
@click.option("--domain", "-d", envvar="CAUSEWAY_DOMAIN", help="[default: development]")
@click.pass_context
def main(context: click.Context, url: str | None, token: str | None, project: str | None, domain: str | None) -> None:
    """Artifacts, launches and approvals of Causeway.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 not allowed, 5 the server cannot be reached.
    """
    context.obj = Client(url, token, project, domain)
