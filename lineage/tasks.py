"""Celery tasks of lineage."""

from __future__ import annotations

from celery import shared_task


@shared_task
def send_run_events() -> None:
    """Harmless to run twice at once, or again."""
    from lineage.actions.export import send_due

    send_due()
