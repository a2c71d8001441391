"""Transactions of other test runs: they share the server, and who reads a table in whole ranges waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import connection

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
