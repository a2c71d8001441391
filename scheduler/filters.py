"""Flyte's list language: `eq(name,foo)+gt(created_at,2026-01-01T00:00:00Z)`, sort keys and offset tokens.

An Entity says which columns may be named, where they lie in the model and how their values are written. Everything a
caller gets wrong raises InvalidArgument naming it.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import models
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime

from artifacts.exceptions import InvalidArgument
from scheduler.tags import ENTITIES, tagged

Row = TypeVar("Row", bound=models.Model)

_EXPRESSION = re.compile(r"\s*(\w+)\(\s*([^,()\s]+)\s*,\s?(.+)\)\s*", re.DOTALL)
_BETWEEN = re.compile(r"(?<=\))\+(?=\s*\w+\()")  # a plus inside a value (a time zone, say) separates nothing
_LOOKUPS = {
    "eq": "exact",
    "ne": "exact",
    "gt": "gt",
    "gte": "gte",
    "lt": "lt",
    "lte": "lte",
    "contains": "contains",
    "not_like": "regex",
    "value_in": "in",
    "value_not_in": "in",
}
_NEGATED = frozenset({"ne", "not_like", "value_not_in"})
_REPEATED = frozenset({"value_in", "value_not_in"})
_TEXT_ONLY = frozenset({"contains", "not_like"})
MAX_FILTERS = 32


def parse_text(value: str) -> object:
    return value


def parse_integer(value: str) -> object:
    try:
        return int(value)
    except ValueError:
        raise InvalidArgument(f"{value!r} is not a whole number") from None


def parse_time(value: str) -> object:
    """An RFC 3339 time, or a date; without a zone it is UTC."""
    try:
        moment = parse_datetime(value)
        if moment is None and (day := parse_date(value)) is not None:
            moment = dt.datetime.combine(day, dt.time())
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidArgument(f"timestamp {value!r} is not an RFC 3339 time")
    try:
        return moment.astimezone(dt.timezone.utc) if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
    except OverflowError:
        raise InvalidArgument(f"timestamp {value!r} is outside the calendar") from None


_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


def parse_duration(value: str) -> object:
    """Seconds as a number, or Go's notation: `1h30m`, `250ms`."""
    try:
        return dt.timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        parts = _DURATION_PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise InvalidArgument(f"{value!r} is not a duration, such as 90 (seconds) or 1h30m")
    try:
        return dt.timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise InvalidArgument(f"{value[:80]!r} is longer than any duration") from None


def parse_choice(choices: type[enum.IntEnum]) -> Callable[[str], object]:
    """The name of an enum member, or its number."""

    def parse(value: str) -> object:
        if value.upper() in choices.__members__:
            return choices[value.upper()].value
        if value.isdigit() and int(value) in {int(choice) for choice in choices}:
            return int(value)
        raise InvalidArgument(f"{value!r} is none of {', '.join(choices.__members__)}")

    return parse


@dataclass(frozen=True)
class Column:
    """`path` is a Django lookup path; `annotation` computes it when it is not a plain field."""

    path: str
    parse: Callable[[str], object] = parse_text
    annotation: Any = None


@dataclass(frozen=True)
class Entity:
    """What may be filtered and sorted by. `joins`: prefix -> (relation path or "", entity)."""

    name: str
    columns: Mapping[str, Column]
    joins: Mapping[str, tuple[str, Entity]] = field(default_factory=dict)
    tagged: bool = False  # whether filters on tags may be used

    def column(self, key: str) -> Column:
        """The column of a filter key, `phase` or `launch_plan.name`; its own name may be prefixed too."""
        prefix, dot, rest = key.partition(".")
        if dot and prefix == self.name:
            return self._own(rest)
        if dot and prefix in self.joins:
            relation, other = self.joins[prefix]
            column = other._own(rest)
            if column.annotation is not None:
                raise InvalidArgument(f"'{key}' is an invalid filter: {rest} is computed")
            return Column(f"{relation}__{column.path}" if relation else column.path, column.parse)
        if dot:
            allowed = ", ".join([self.name, *self.joins, *(ENTITIES if self.tagged else ())])
            raise InvalidArgument(f"'{prefix}' entity is not allowed in filters of {self.name}; allowed are {allowed}")
        return self._own(key)

    def _own(self, key: str) -> Column:
        if key not in self.columns:
            raise InvalidArgument(f"'{self.name}.{key}' is an invalid filter; allowed are {', '.join(self.columns)}")
        return self.columns[key]


@dataclass(frozen=True)
class Filter:
    function: str
    key: str
    values: tuple[str, ...]


def parse_filters(text: str) -> list[Filter]:
    """Raises InvalidArgument for what is not `func(field,value)` joined by `+`."""
    if not text.strip():
        return []
    filters = []
    for expression in _BETWEEN.split(text):
        match = _EXPRESSION.fullmatch(expression)
        if match is None:
            raise InvalidArgument(
                f"invalid value for filters: {expression[:200]!r} is not of the form func(field,value)"
            )
        function, key, value = match.groups()
        if function not in _LOOKUPS:
            raise InvalidArgument(f"unrecognized filter function: {function}; there are {', '.join(_LOOKUPS)}")
        values = tuple(value.split(";")) if function in _REPEATED else (value,)
        filters.append(Filter(function, key, values))
    if len(filters) > MAX_FILTERS:
        raise InvalidArgument(f"{len(filters)} filters are too many, {MAX_FILTERS} are allowed")
    return filters


def _condition(function: str, column: Column, values: tuple[str, ...]) -> Q:
    if any("\x00" in value for value in values):
        raise InvalidArgument("a filter's value must not contain a NUL character")
    if function in _TEXT_ONLY and column.parse is not parse_text:
        raise InvalidArgument(f"'{function}' works on text only, '{column.path}' is none")
    value: object
    if function == "not_like":
        value = "^" + re.escape(values[0]).replace("%", ".*").replace("_", ".") + "$"
    else:
        parsed = [column.parse(value) for value in values]
        value = parsed if function in _REPEATED else parsed[0]
    condition = Q(**{f"{column.path}__{_LOOKUPS[function]}": value})
    return ~condition if function in _NEGATED else condition


def apply_filters(rows: QuerySet[Row], entity: Entity, text: str) -> QuerySet[Row]:
    """The rows for which every filter of the text holds."""
    filters = parse_filters(text)
    if entity.tagged and (on_tags := [one for one in filters if one.key.partition(".")[0] in ENTITIES]):
        filters = [one for one in filters if one not in on_tags]
        rows = rows.filter(tagged((one.function, one.key, one.values) for one in on_tags))
    for parsed in filters:
        column = entity.column(parsed.key)
        rows = _computed(rows, column).filter(_condition(parsed.function, column, parsed.values))
    return rows


def filters_on(text: str, key: str) -> bool:
    """Whether the text names this key, with or without a prefix."""
    return any(parsed.key.rpartition(".")[2] == key for parsed in parse_filters(text))


def _computed(rows: QuerySet[Row], column: Column) -> QuerySet[Row]:
    if column.annotation is None:
        return rows
    return rows.annotate(**{column.path: column.annotation})  # type: ignore[no-any-return]


def apply_sort(
    rows: QuerySet[Row], entity: Entity, key: str, *, descending: bool, default: tuple[str, ...]
) -> QuerySet[Row]:
    """Sorted by one column, then by id, so that pages never overlap by chance. No key: by `default`."""
    if not key:
        return rows.order_by(*default)
    if "." in key or key not in entity.columns:
        raise InvalidArgument(f"invalid sort key '{key}'; allowed are {', '.join(entity.columns)}")
    column = entity.columns[key]
    sign = "-" if descending else ""
    return _computed(rows, column).order_by(f"{sign}{column.path}", f"{sign}id")


MAX_OFFSET = 10_000_000


def parse_token(token: str) -> int:
    """The offset a page token stands for. Raises InvalidArgument for what we did not give out."""
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or int(token) > MAX_OFFSET:
        raise InvalidArgument(f"invalid pagination token {token[:40]!r}")
    return int(token)


def page(rows: QuerySet[Row], *, limit: int, token: str = "") -> tuple[list[Row], str]:
    """One page and the token of the next; no token: that was the last. A full page always has one, as Flyte's do."""
    if limit <= 0:
        raise InvalidArgument("invalid value for limit: it must be at least 1")
    offset = parse_token(token)
    found = list(rows[offset : offset + limit])
    return found, str(offset + len(found)) if len(found) == limit else ""
