# mypy: ignore-errors
"""A program that makes one partition of sales, as users write it."""

from __future__ import annotations

from datetime import datetime

from flytekit import task, workflow


@task
def count_sales(region: str, day: datetime) -> int:
    return len(region) + day.day


@workflow
def sell(region: str, day: datetime) -> int:
    return count_sales(region=region, day=day)
