"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def json_anyway(command: F) -> F:
    """For commands whose answer is JSON with and without: `--json` fits every command."""
    return click.option("--json", is_flag=True, expose_value=False, help="As it is anyway.")(command)


def partition_option(command: F) -> F:
    option = click.option("--partition", "-P", "partitions", multiple=True, metavar="KEY=VALUE", callback=pairs)
    return option(command)


def pairs(_context: click.Context, _option: click.Parameter, texts: Iterable[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    return dict(text.split("=", 1) for text in texts)


def query_options(command: F) -> F:
    """What narrows down which version is meant; `wanted` makes the client's arguments of them."""
    for option in (
        partition_option,
        click.option("--version", default="", help="Exactly this one."),
        click.option("--alias", default="", help="The one that bears this alias."),
        click.option("--time-partition", type=MOMENT, help="ISO 8601, in UTC unless it says otherwise."),
        click.option("--time-from", type=MOMENT, help="Time partitions from then on."),
        click.option("--time-before", type=MOMENT, help="Time partitions before then."),
        click.option("--checks", type=click.Choice(["passed"]), default=None, help="Only what no check blocks."),
        click.option("--quarantined", is_flag=True, help="Versions in quarantine too."),
        click.option("--created-before", type=MOMENT, help="The newest as of then."),
    ):
        command = option(command)
    return command


class _Moment(click.ParamType):  # type: ignore[type-arg]  # of older clicks it takes no argument
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            self.fail(f"{value!r} is not a time in ISO 8601", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


MOMENT = _Moment()
