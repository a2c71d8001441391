"""Celery tasks of lineage."""

from __future__ import annotations

from celery import shared_task

from lineage.actions.export import send_due


@shared_task
def send_run_events() -> None:
    """Harmless to run twice at once, or again."""
    send_due()
