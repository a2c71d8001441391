"""The views are dropped before migrations and made anew after them."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection

from console.accounts.models import ReaderScope
from console.sqlviews import schema


def drop_views(plan: Any = (), using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    if using == DEFAULT_DB_ALIAS and plan:
        schema.drop()


def make_views(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Not where migrations went back to a time before there were readers."""
    if using == DEFAULT_DB_ALIAS and ReaderScope._meta.db_table in connection.introspection.table_names():
        schema.make()
