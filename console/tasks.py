"""Celery tasks of the console."""

from __future__ import annotations

from celery import shared_task

from console.sqlviews.readers import end_overdue
from scheduler.heartbeat import report_alive


@shared_task
def heartbeat() -> None:
    """Shows that ticks reach a worker: the sign of life is given by the worker that got the message."""
    report_alive("worker")


@shared_task
def watch_readers() -> None:
    """Readers of the SQL views who stay longer than they may."""
    end_overdue()
