"""Statements that are written out and asked all day: the database plans them once a session, not each time.

To plan what a publication asks takes it four times as long as to carry it out. They are for rows found by an index,
however many there are, so that one plan is as good for all values: a session is told not to try others. A table that
was empty when it was planned for may be large soon, and the database plans anew only once it was analyzed: plans are
thrown away now and then.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

BELIEVED = 15.0  # seconds for which a plan is good
_PLANNED_AT = "causeway_planned_at"  # attribute of the driver's connection; monotonic

_ServerBindingCursor: Any = base.ServerBindingCursor


def _discard_old_plans(session: Any) -> None:
    """Of a session that keeps any."""
    since = getattr(session, _PLANNED_AT, None)
    if since is not None and time.monotonic() - since > BELIEVED:
        setattr(session, _PLANNED_AT, time.monotonic())
        session.execute("DISCARD PLANS")


class _Cursor(_ServerBindingCursor):  # type: ignore[misc]
    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, **{**options, "prepare": True})


def prepared() -> CursorWrapper:
    """As `connection.cursor()`, for one statement at a time, whose parameters have casts where nothing else says their
    types. Their values do not change the statement: many are handed over as columns (artifacts.arrays).
    """
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    with wrapper.wrap_database_errors:
        _discard_old_plans(wrapper.connection)
        cursor: CursorWrapper = wrapper._prepare_cursor(_Cursor(wrapper.connection))
    return cursor


def _begin_session(sender: object, connection: BaseDatabaseWrapper, **_: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
    setattr(connection.connection, _PLANNED_AT, time.monotonic())


def connect() -> None:
    if settings.CAUSEWAY_PREPARE:
        connection_created.connect(_begin_session, dispatch_uid="artifacts.prepared")
