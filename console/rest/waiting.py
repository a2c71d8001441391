"""`?wait=`: for CI, an answer when the execution has ended."""

from __future__ import annotations

import threading
import time

from rest_framework import serializers

from console.rest.base import Filters
from scheduler.models import Execution
from scheduler.phases import EXECUTION_TERMINAL

LONGEST = 300  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 1.0  # seconds
# Each waiter holds a thread of the web process. When these are taken, a request is answered at once with the present
# state, so that clients that wait cannot keep the others out; a client asks again anyway until the execution has ended.
_WAITERS = threading.BoundedSemaphore(4)


class WaitFilters(Filters):
    wait = serializers.FloatField(
        required=False,
        default=0,
        min_value=0,
        max_value=LONGEST,
        help_text="seconds; may be cut short",
    )


def wait_until_ended(execution: Execution, seconds: float) -> bool:
    """Whether it waited at all. Polls, with growing pauses, outside any transaction."""
    if seconds <= 0 or execution.phase in EXECUTION_TERMINAL or not _WAITERS.acquire(blocking=False):
        return False
    try:
        _poll(execution.pk, time.monotonic() + seconds)
    finally:
        _WAITERS.release()
    return True


def _poll(execution_id: int, deadline: float) -> None:
    pause = FIRST_PAUSE
    ended = Execution.objects.filter(pk=execution_id, phase__in=EXECUTION_TERMINAL)
    while (left := deadline - time.monotonic()) > 0 and not ended.exists():
        time.sleep(min(pause, left))
        pause = min(pause * 1.25, LONGEST_PAUSE)
