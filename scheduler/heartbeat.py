"""Signs of life in the broker, which readiness looks for: of workers that get ticks, and of that of the slow queue."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import redis
from django.utils import timezone

from scheduler.wake import broker

logger = logging.getLogger(__name__)

# A sign of life counts for this long; give one at most every third of it.
SECONDS = 20


def report_alive(kind: str) -> None:
    """Say that a process of this kind (`worker`, `slow`) works. A broker that is down is not its problem."""
    try:
        broker().set(f"causeway:alive:{kind}", 1, ex=SECONDS)
    except redis.RedisError as error:
        logger.warning("sign of life of %s lost: %s", kind, error)


def is_alive(kind: str) -> bool:
    """Whether a process of this kind gave a sign of life lately. Raises redis.RedisError when the broker is down."""
    return bool(broker().exists(f"causeway:alive:{kind}"))


def is_recent(seen_at: datetime | None) -> bool:
    """Whether a sign of life of that time still counts; None: there was none."""
    return seen_at is not None and timezone.now() - seen_at < timedelta(seconds=SECONDS)
