"""Transactions of others: another session's, and those of other test runs, which share the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction

SECONDS = 60.0  # the longest test that holds a transaction is shorter


def wait_for_others() -> None:
    """Until every transaction that is under way on the server is over. To be called outside of one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (following,) = cursor.fetchone()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            if cursor.fetchone()[0] >= following:
                return
            time.sleep(0.02)
    raise TimeoutError(f"another transaction on this server has not ended within {SECONDS:.0f} s")


def read_on(step: Callable[[], int]) -> int:
    """What `step` reads of all that is committed now: what was given out by its first call is whole at its second."""
    total = step()
    wait_for_others()
    return total + step()


@contextmanager
def held(how: Callable[[], object]) -> Iterator[threading.Event]:
    """Another session's transaction has done that, and ends when the event is set."""
    done, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                how()
                done.set()
                let_go.wait(30)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert done.wait(10)
    try:
        yield let_go
    finally:
        let_go.set()
        thread.join()
