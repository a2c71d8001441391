"""The group that all commands of `causeway` belong to, and what their errors mean to the shell."""

from __future__ import annotations

import errno
from typing import Any

import click

from causeway.cli import suggestions
from causeway.client import CausewayError, Client

FAILED, USAGE, NOT_FOUND, DENIED, UNAVAILABLE = 1, 2, 3, 4, 5
EXIT_CODES = {401: DENIED, 403: DENIED, 404: NOT_FOUND}


def exit_code(error: CausewayError) -> int:
    """0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 the server cannot be reached."""
    return UNAVAILABLE if error.unavailable else EXIT_CODES.get(error.status, FAILED)


class Suggesting(click.Group):
    """A group that says which of its commands a word may have meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = suggestions.near(args[0], self.list_commands(ctx)) if args else []
            if near and "Did you mean" not in error.message:
                said = f"{error.message} Did you mean {suggestions.spelled(near)}?"
                raise click.UsageError(said, ctx) from error
            raise


class Commands(Suggesting):
    """Turns the API's refusals, and the machine's, into one line and an exit code."""

    group_class = Suggesting

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CausewayError as error:
            said = "; ".join(str(error).splitlines())
            near = suggestions.names_near(context.obj, said) if error.status in (400, 404) else []
            click.echo(f"Error: {said}" + (f"; did you mean {suggestions.spelled(near)}?" if near else ""), err=True)
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
    """Artifacts, launches, executions and approvals of Causeway.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 not allowed, 5 the server cannot be reached.
    """
    context.obj = Client(url, token, project, domain)
