"""New rows of a model in one statement, however many they are.

`bulk_create` writes a parameter for each value into the statement, which takes longer to put together than the
database takes to carry it out; here each column is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

from artifacts.arrays import column_of
from artifacts.prepared import prepared

Row = TypeVar("Row", bound=models.Model)


def insert_rows(rows: Sequence[Row], *, computed: Mapping[str, str] | None = None, unless_there: bool = False) -> None:
    """Insert them, all of one model whose key the database counts up, and give them their keys. No signal is sent.

    Values are as fields hold them (of a search vector: its text); no `auto_now`, no expressions. Raises IntegrityError,
    and DataError for what does not fit. `computed`: fields whose values the database makes, by SQL over the row `new`;
    the rows have them afterwards. `unless_there`: nothing is
    written, and nothing raised, where a unique key is taken; a single row that was not written has no key then.
    """
    if not rows:
        return
    made = tuple((computed or {}).items())
    statement, columns = _insert(type(rows[0]), made, unless_there)
    with prepared() as cursor:
        cursor.execute(statement, [_column(field, [getattr(row, field.attname) for row in rows]) for field in columns])
        # Keys are drawn in the order of the rows; what RETURNING says is not promised to come in it.
        written = sorted(cursor.fetchall())
    if unless_there and len(written) < len(rows):
        return
    for row, (key, *values) in zip(rows, written, strict=True):
        row.pk = key
        for (name, _), value in zip(made, values, strict=True):
            setattr(row, name, value)
        row._state.adding, row._state.db = False, connection.alias


@lru_cache
def _insert(
    model: type[models.Model], computed: tuple[tuple[str, str], ...], unless_there: bool
) -> tuple[str, list[models.Field[Any, Any]]]:
    quote = connection.ops.quote_name
    key = model._meta.pk
    fields = [field for field in model._meta.concrete_fields if field is not key]
    names = ", ".join(quote(str(field.column)) for field in fields)
    arrays = ", ".join(f"%s::{_type(field)}[]" for field in fields)
    made = {field.attname: _items(field) for field in fields if isinstance(field, ArrayField)} | dict(computed)
    values = ", ".join(made.get(field.attname) or quote(str(field.column)) for field in fields)
    returned = [key, *(field for name, _ in computed for field in fields if field.attname == name)]
    returning = ", ".join(quote(str(field.column)) for field in returned)
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({names}) "  # noqa: S608 - our own models
        f"SELECT {values} FROM unnest({arrays}) WITH ORDINALITY AS new({names}, ordinality) "
        f"ORDER BY ordinality {'ON CONFLICT DO NOTHING ' if unless_there else ''}RETURNING {returning}"
    )
    return statement, fields


def _type(field: models.Field[Any, Any]) -> str:
    """A cast to a type with a length would cut what is too long: of texts the column itself says so."""
    if isinstance(field, ArrayField):
        return "jsonb"  # arrays of arrays would be taken apart whole
    return "text" if isinstance(field, models.CharField) else str(field.db_type(connection))


def _items(field: models.Field[Any, Any]) -> str:
    column = f"new.{connection.ops.quote_name(str(field.column))}"
    items = f"ARRAY(SELECT jsonb_array_elements_text({column}))::{field.db_type(connection)}"
    return f"CASE WHEN {column} IS NOT NULL THEN {items} END"


def _column(field: models.Field[Any, Any], values: Sequence[Any]) -> str:
    if isinstance(field, (models.JSONField, ArrayField)):
        return column_of(None if value is None else json.dumps(value) for value in values)
    return column_of(values)
