"""Statements over many rows at once: their columns are handed over as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from artifacts.arrays import column_of


def rows_of(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def run_columns(
    statement: str, rows: Sequence[Sequence[object]], *, before: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """What the statement returns; it takes an array for each column of the rows, after what is `before`. Nothing is
    run for no rows.
    """
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, [*before, *map(column_of, zip(*rows, strict=True))])
        return list(cursor.fetchall()) if cursor.description else []
