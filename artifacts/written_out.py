"""Rows of models read by statements that are written out: for what is asked so often that the ORM's compiler counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)


class Selection(NamedTuple):
    """What a statement selects for rows of a model."""

    columns: str  # SQL, between SELECT and FROM
    names: tuple[str, ...]  # of their attributes
    jsons: tuple[int, ...]  # places of those that hold JSON


@lru_cache(maxsize=32)
def selection(model: type[models.Model], *, of: str = "", without: tuple[str, ...] = ()) -> Selection:
    """Every column but those of the attributes `without`; `of`: what the statement calls the table."""
    fields = [field for field in model._meta.concrete_fields if field.attname not in without]
    columns = ", ".join(f'{of}."{field.column}"' if of else f'"{field.column}"' for field in fields)
    jsons = tuple(place for place, field in enumerate(fields) if isinstance(field, models.JSONField))
    return Selection(columns, tuple(field.attname for field in fields), jsons)


def row_of(model: type[Row], selected: Selection, values: Sequence[Any]) -> Row:
    """Of the columns of the selection, in its order; more may follow them."""
    held = list(values[: len(selected.names)])
    for place in selected.jsons:
        if isinstance(held[place], str):
            held[place] = json.loads(held[place])
    return model.from_db(connection.alias, selected.names, held)
