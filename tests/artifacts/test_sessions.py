"""A session that is kept from request to request: when it is asked whether it still lives."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from django.db import close_old_connections, connections

connection: Any = connections["default"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session() -> int:
    """Its process, of a session that lives long and is looked at where a request begins."""
    connection.close()
    connection.ensure_connection()
    connection.health_check_enabled = True
    return int(connection.connection.info.backend_pid)


def asked(statements: list[str]) -> Any:
    """What the session itself is sent."""

    class Cursor(psycopg.ClientCursor[Any]):
        def execute(self, query: Any, *args: Any, **options: Any) -> Any:
            statements.append(str(query))
            return super().execute(query, *args, **options)

    return Cursor


def begin_request() -> None:
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7")


def test_one_that_lives_is_not_asked(session: int) -> None:
    statements: list[str] = []
    connection.connection.cursor_factory = asked(statements)
    begin_request()
    assert statements == ["SELECT 7"]
    assert connection.connection.info.backend_pid == session


def test_one_that_the_server_ended_is_begun_anew(session: int) -> None:
    ended = threading.Thread(target=_end, args=(session,))
    ended.start()
    ended.join()
    begin_request()
    assert connection.connection.info.backend_pid != session


def test_one_that_had_trouble_is_asked(session: int) -> None:
    statements: list[str] = []
    connection.connection.cursor_factory = asked(statements)
    connection.errors_occurred = True
    begin_request()
    assert statements == ["SELECT 1", "SELECT 7"]


def _end(pid: int) -> None:
    own = connections["default"]  # of this thread
    with own.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    own.close()
    time.sleep(0.2)  # its last words arrive
