"""`__in` of many values as one array.

Of `IN (%s, %s, ...)` with hundreds of values psycopg takes the text apart each time (it remembers short ones only),
and Django has built it piece by piece: 20 ms of a page's time. PostgreSQL makes an array of it at once; we send one.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Field
from django.db.models.fields.related import ForeignObject
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.lookups import In

MANY = 50  # parameters: what psycopg remembers of a statement


class _AsArray:
    """For lookups of values of which each is a whole number, or each a plain text; all else is as Django has it."""

    lhs: Any
    rhs: Any

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        values = self._values()
        if values is None:
            return self.as_sql(compiler, connection)  # type: ignore[attr-defined,no-any-return]
        sql, params = self.process_lhs(compiler, connection)  # type: ignore[attr-defined]
        return f"{sql} = ANY(%s)", [*params, values]

    def _values(self) -> list[Any] | None:
        if not self.rhs_is_direct_value() or not isinstance(self.rhs, (list, tuple, set, frozenset)):  # type: ignore[attr-defined]
            return None
        if len(self.rhs) <= MANY or isinstance(self.lhs, (list, tuple)):
            return None
        kinds = {type(value) for value in self.rhs}
        if kinds not in ({int}, {str}):
            return None
        return sorted(set(self.rhs))


class InArray(_AsArray, In):
    pass


class RelatedInArray(_AsArray, RelatedIn):
    pass


def register() -> None:
    Field.register_lookup(InArray)
    ForeignObject.register_lookup(RelatedInArray)
