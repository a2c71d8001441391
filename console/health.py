"""`/healthz`: this process answers. `/readyz`: everything it needs does too, each part named. Neither tells secrets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone as clock

from scheduler import heartbeat
from scheduler.models.executor import ExecutorInstance
from scheduler.wake import broker

logger = logging.getLogger(__name__)

PROBE = "readiness-probe"  # the object that is written, again and again
PROBE_BYTES = 4096  # a block: of nothing at all a full disk takes any number
PROBE_SECONDS = 5.0


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")


def _broker() -> None:
    broker().ping()


class _StoreProbe:
    """Writes a little object: a store that is full, or read-only, still answers whether it has one.

    At most every PROBE_SECONDS, whoever asks: anybody may.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tried: tuple[str, float] = ("", 0.0)  # the store and when, monotonic
        self._error: Exception | None = None

    def __call__(self) -> None:
        with self._lock:
            root, at = self._tried
            if root != settings.CAUSEWAY_STORE_URL or time.monotonic() > at + PROBE_SECONDS:
                self._error = self._try()
                self._tried = (settings.CAUSEWAY_STORE_URL, time.monotonic())
            if self._error is not None:
                raise self._error

    @staticmethod
    def _try() -> Exception | None:
        from artifacts.store import store

        try:
            store().put(f"{settings.CAUSEWAY_STORE_URL}/{PROBE}", b"." * PROBE_BYTES)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the next who ask are told as well
            return error
        return None


_object_store = _StoreProbe()


def _workers() -> None:
    if not heartbeat.is_alive("worker"):
        raise LookupError(f"no worker answered a tick for {heartbeat.SECONDS} s")


def _slow() -> None:
    if not heartbeat.is_alive("slow"):
        raise LookupError(f"no worker of the slow queue said that it is alive for {heartbeat.SECONDS} s")


def _executor() -> None:
    since = clock.now() - timedelta(seconds=heartbeat.SECONDS)
    if not ExecutorInstance.objects.filter(seen_at__gt=since).exists():
        raise LookupError(f"no executor said that it is alive for {heartbeat.SECONDS} s")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "broker": _broker,
    "object_store": _object_store,
    "workers": _workers,
    "slow": _slow,
    "executor": _executor,
}


def _executor_since(moment: str) -> bool:
    """Whether an executor said that it is alive after that second of the epoch: one that was stopped still counts for
    a while, which is too long for whoever waits for the next.
    """
    try:
        since = datetime.fromtimestamp(float(moment), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return True
    return ExecutorInstance.objects.filter(seen_at__gt=since).exists()


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part is `ok`, else 503 with `error` at those that are not; why is in the log."""
    parts = {}
    for name, check in CHECKS.items():
        try:
            check()
            parts[name] = "ok"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a part, the answer names the part
            logger.warning("not ready: %s: %s", name, error)
            parts[name] = "error"
    if parts["executor"] == "ok" and not _executor_since(request.GET.get("since", "")):
        parts["executor"] = "error"
    ready = set(parts.values()) == {"ok"}
    return JsonResponse({"status": "ok" if ready else "error", "parts": parts}, status=200 if ready else 503)
