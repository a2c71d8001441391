# mypy: ignore-errors
"""Workflows whose inputs come back as something else from a form that does not know what it showed."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from flytekit import task, workflow


class Colour(enum.Enum):
    RED = "red"
    SPACED = " two  words "


@dataclass
class Settings:
    rate: float = float("nan")
    best: float = float("inf")
    names: list[str] = field(default_factory=lambda: [" a ", "1"])


@task
def use(
    padded: str,
    lines: str,
    empty: str,
    number: int | str,
    nothing: str | None,
    word: str | None,
    day: datetime | str,
    flag: str | bool,
    span: timedelta | str,
    listed: list[str] | str,
    mixed: list[int | str],
    named: dict[str, datetime | str],
    metrics: dict,
    settings: Settings,
    colour: Colour,
    moment: datetime,
    wait: timedelta,
    huge: int,
    fine: float,
    maybe: int | None,
) -> str:
    return ""


@workflow
def untouched(
    padded: str = " padded ",
    lines: str = "\nfirst\r\nsecond\rthird\n",
    empty: str = "",
    number: int | str = "007",
    nothing: str | None = None,
    word: str | None = "null",
    day: datetime | str = "2026-01-01",
    flag: str | bool = "true",
    span: timedelta | str = "1h",
    listed: list[str] | str = '["a"]',
    mixed: list[int | str] = ["7", 7],  # noqa: B006
    named: dict[str, datetime | str] = {"a": "2026-01-01"},  # noqa: B006
    metrics: dict = {"loss": float("nan"), "worst": float("-inf"), "n": 1, "share": 1.0},  # noqa: B006
    settings: Settings = Settings(),  # noqa: B008
    colour: Colour = Colour.SPACED,
    moment: datetime = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2))),  # noqa: B008
    wait: timedelta = timedelta(days=400, microseconds=1),  # noqa: B008
    huge: int = 2**63 - 1,
    fine: float = 0.1 + 0.2,
    maybe: int | None = None,
) -> str:
    return use(
        padded=padded, lines=lines, empty=empty, number=number, nothing=nothing, word=word, day=day, flag=flag,
        span=span, listed=listed, mixed=mixed, named=named, metrics=metrics, settings=settings, colour=colour,
        moment=moment, wait=wait, huge=huge, fine=fine, maybe=maybe,
    )  # fmt: skip
