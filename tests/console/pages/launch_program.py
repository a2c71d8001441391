# mypy: ignore-errors
"""Inputs with parts: a dataclass within a pydantic model, lists, maps, enums, optional ones, files."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from flytekit import task, workflow
from flytekit.types.file import FlyteFile
from pydantic import BaseModel


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


@dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = field(default_factory=list)


class Setup(BaseModel):
    name: str
    depth: int = 3
    limit: float | None = None
    weights: dict[str, float] = {}


@task
def consume(
    point: Point, setup: Setup, numbers: list[int], named: dict[str, float], mode: Mode, data: FlyteFile
) -> str:
    return ""


@workflow
def structured(
    point: Point, setup: Setup, numbers: list[int], named: dict[str, float], mode: Mode, data: FlyteFile
) -> str:
    return consume(point=point, setup=setup, numbers=numbers, named=named, mode=mode, data=data)
