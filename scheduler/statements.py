"""SQL for the engine's hot path: rows read and locked without the ORM's compiler, statements sent in one round trip."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from django.db import OperationalError, connection, models
from psycopg.errors import LockNotAvailable

from artifacts.arrays import column_of
from artifacts.prepared import prepared
from artifacts.written_out import Selection, row_of, selection

Row = TypeVar("Row", bound=models.Model)
Statement = tuple[str, list[Any]]


@lru_cache(maxsize=16)
def _columns(model: type[models.Model]) -> tuple[tuple[str, str, bool], ...]:
    """(attribute, column, is JSON) of every column but the primary key."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    return tuple((field.attname, str(field.column), isinstance(field, models.JSONField)) for field in fields)


def assignments(model: type[models.Model], values: Mapping[str, Any]) -> Statement:
    """What follows SET in an UPDATE that gives the attributes these values."""
    columns = {attribute: (column, is_json) for attribute, column, is_json in _columns(model)}
    named = [(*columns[attribute], value) for attribute, value in values.items()]
    sql = ", ".join(f'"{column}" = %s' for column, _, _ in named)
    return sql, [json.dumps(value) if is_json else value for _, is_json, value in named]


class Result(NamedTuple):
    touched: int  # rows
    returned: list[tuple[Any, ...]]


def execute(statements: Sequence[Statement]) -> list[Result]:
    """Send the statements in one round trip; what came of each."""
    if not statements:
        return []
    results: list[Result] = []
    with connection.cursor() as cursor:
        cursor.execute(
            ";\n".join(sql for sql, _ in statements), [value for _, values in statements for value in values]
        )
        while True:
            results.append(Result(cursor.rowcount, cursor.fetchall() if cursor.description else []))
            if not cursor.nextset():
                return results


class HeldElsewhere(Exception):
    """Somebody who does not evaluate holds the row for longer than an evaluation waits."""


WAIT = "2s"
EVALUATING = 427  # the space of PostgreSQL's advisory locks (two keys) that mark a row as being evaluated
_MOST = 2**31  # keys of that space

# The mark is tried for before any row is looked at: whichever way the table is read, it is of these rows alone.
_TRY = """
    WITH wanted AS MATERIALIZED (
        SELECT id FROM unnest(%s::bigint[]) AS id WHERE pg_try_advisory_xact_lock({space}, (id %% {most})::int)
    )
    SELECT {columns}, {questions} FROM {table} AS held JOIN wanted ON wanted.id = held.id
    ORDER BY held.id FOR NO KEY UPDATE OF held SKIP LOCKED
"""


def try_to_lock(model: type[Row], pks: Collection[int], *questions: str) -> tuple[list[Row], list[Any]]:
    """Those of the rows that nobody evaluates or holds, as `lock_and_ask` locks one; nobody is waited for. `questions`:
    expressions of SQL that are asked along; without a row they are not, and the answers are None.
    """
    selected = selection(model, of="held")
    sql = _TRY.format(
        columns=selected.columns,
        questions=_asked(questions),
        table=model._meta.db_table,
        space=EVALUATING,
        most=_MOST,
    )
    with prepared() as cursor:
        cursor.execute(sql, [column_of(pks)])
        found = cursor.fetchall()
    return [row_of(model, selected, values) for values in found], _answers(selected, found, questions)


def _asked(questions: Sequence[str]) -> str:
    return ", ".join(questions) or "NULL"


def _answers(selected: Selection, found: Sequence[tuple[Any, ...]], questions: Sequence[str]) -> list[Any]:
    """They are the same in every row."""
    return list(found[0][len(selected.names) :][: len(questions)]) if found else [None] * len(questions)


def lock(model: type[Row], pk: int) -> Row | None:
    """As `lock_and_ask`, without a question."""
    return lock_and_ask(model, pk)[0]


def lock_and_ask(model: type[Row], pk: int, *questions: str) -> tuple[Row | None, list[Any]]:
    """The row, for its evaluation, until the transaction ends; None if somebody else evaluates it, or it is not there.

    Two locks. The mark of who evaluates is only tried for: whoever finds it taken may leave, because the holder looks
    for news once more. The row's own lock is waited for: those who hold it otherwise (a door that archives the
    execution, a decision, a child's end) are quick and look for nothing, so that leaving would lose what happened. It
    is NO KEY UPDATE: what only refers to the row (a relaunch of the execution, its children) is not in the way at all.
    HeldElsewhere after WAIT. `questions`: as for `try_to_lock`; their values follow the row.
    """
    at_once, answers = try_to_lock(model, [pk], *questions)
    if at_once:
        return at_once[0], answers
    selected = selection(model)
    sql = f'SELECT {selected.columns}, {_asked(questions)} FROM "{model._meta.db_table}" WHERE id = %s '  # noqa: S608
    sql += "AND pg_try_advisory_xact_lock(%s, %s) FOR NO KEY UPDATE"
    waiting, patient = f"SET LOCAL lock_timeout = '{WAIT}'", "SET LOCAL lock_timeout = DEFAULT"
    try:
        found = execute([(waiting, []), (sql, [pk, EVALUATING, pk % _MOST]), (patient, [])])[1].returned
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise HeldElsewhere(f"{model.__name__} {pk} is held by somebody for more than {WAIT}") from error
        raise
    return row_of(model, selected, found[0]) if found else None, _answers(selected, found, questions)


def select(
    model: type[Row], which: str, parameters: Sequence[Any], *, without: tuple[str, ...] = (), planned: bool = False
) -> list[Row]:
    """The rows, complete but for the fields `without`, for which the SQL after WHERE holds; `planned` once a session
    (artifacts.prepared)."""
    selected = selection(model, without=without)
    with prepared() if planned else connection.cursor() as cursor:
        cursor.execute(f'SELECT {selected.columns} FROM "{model._meta.db_table}" WHERE {which}', parameters)  # noqa: S608
        found = cursor.fetchall()
    return [row_of(model, selected, values) for values in found]
