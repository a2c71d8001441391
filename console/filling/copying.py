"""Writing many rows of a model at once, by COPY: columns and defaults are those of the model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connection, models
from psycopg import sql

from artifacts.store import store
from console.filling.company import DOMAIN


class Copy:
    """Rows of one model, given as values of `names`; every other column gets the model's default.

    Values are as psycopg takes them; of JSON columns they are what is to be stored.
    """

    def __init__(self, model: type[models.Model], *names: str) -> None:
        fields = {field.attname: field for field in model._meta.concrete_fields}
        if unknown := set(names) - fields.keys():
            raise ValueError(f"{model.__name__} has no {', '.join(sorted(unknown))}")
        self.model, self.names = model, names
        self.count, self.seconds = 0, 0.0
        rest = [field for name, field in fields.items() if name not in names and not field.primary_key]
        self._json = [isinstance(fields[name], models.JSONField) for name in names]
        self._rest = tuple(_stored(field, field.get_default()) for field in rest)
        columns = [sql.Identifier(str(field.column)) for field in (*(fields[name] for name in names), *rest)]
        table = sql.Identifier(model._meta.db_table)
        self._statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(", ").join(columns))

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """In the transaction that is open."""
        made = list(rows)  # before the COPY: who makes them may ask the database, which takes nothing else meanwhile
        begun = time.monotonic()
        with connection.cursor() as cursor, cursor.copy(self._statement) as copy:
            for row in made:
                copy.write_row((*self._values(row), *self._rest))
                self.count += 1
        self.seconds += time.monotonic() - begun

    def _values(self, row: Sequence[object]) -> Iterator[object]:
        for value, is_json in zip(row, self._json, strict=True):
            yield json.dumps(value) if is_json else value


def _stored(field: models.Field[Any, Any], value: Any) -> object:
    return json.dumps(value) if isinstance(field, models.JSONField) and value is not None else value


def reserve(model: type[models.Model], count: int) -> int:
    """So many primary keys that nobody else gets; returns the first."""
    table, column = model._meta.db_table, str(model._meta.pk.column)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, column])
        (sequence,) = cursor.fetchone()
        cursor.execute("SELECT setval(%s, nextval(%s) + %s)", [sequence, sequence, max(count - 1, 0)])
        return int(cursor.fetchone()[0]) - max(count - 1, 0)


def put_shared(area: str, project: str, name: str, data: bytes) -> str:
    """An object to which many rows point; returns its address."""
    uri = store().join(store().root, area, project, DOMAIN, "filled", name)
    store().put(uri, data)
    return uri
