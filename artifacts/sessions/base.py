"""Django's backend for PostgreSQL, but that a session which is kept is not asked before each request if it lives.

A server that went away, or ended the session, has closed its end of the connection, and the kernel knows. Asking takes
a round trip, which every page and every call would begin with.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations as Operations
from psycopg.pq import TransactionStatus


class DatabaseOperations(Operations):
    def last_executed_query(self, cursor: Any, sql: str, params: Any) -> str:
        """For whoever looks at statements: of one that is prepared already, which is not sent, the driver has none."""
        return str(super().last_executed_query(cursor, sql, params) or sql)


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def is_usable(self) -> bool:
        """Whether it is; called where a request begins, and after errors."""
        if self.connection is not None and not self.errors_occurred and _is_quiet(self.connection):
            return True
        return bool(super().is_usable())


def _is_quiet(session: psycopg.Connection[Any]) -> bool:
    """Whether nothing is under way, and nothing has arrived: no last words of the server, nor that it is gone."""
    if session.closed or session.pgconn.transaction_status != TransactionStatus.IDLE:
        return False
    arrived = select.poll()
    arrived.register(session.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return not arrived.poll(0)
