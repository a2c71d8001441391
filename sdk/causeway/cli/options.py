"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def partition_option(command: F) -> F:
    option = click.option("--partition", "-P", "partitions", multiple=True, metavar="KEY=VALUE", callback=pairs)
    return option(command)


def pairs(_context: click.Context, _option: click.Parameter, texts: Iterable[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    return dict(text.split("=", 1) for text in texts)
