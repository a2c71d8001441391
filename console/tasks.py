"""Celery tasks of the console."""

from __future__ import annotations

from urllib.parse import urlsplit

from celery import shared_task
from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm

import console.celery  # noqa: F401 - the application that they belong to
from artifacts import last_published
from console.sqlviews.readers import end_overdue
from scheduler.heartbeat import report_alive


@shared_task
def heartbeat() -> None:
    """Shows that ticks reach a worker: the sign of life is given by the worker that got the message."""
    report_alive("worker")


@shared_task
def note_last_published() -> None:
    """When each combination of partition values was last published, of versions that are new."""
    last_published.note_last_published()


@shared_task
def watch_readers() -> None:
    """Readers of the SQL views who stay longer than they may."""
    end_overdue()


@shared_task
def send_password_reset(email: str) -> None:
    """A link for each active account with this address that has a password. Repeated, it sends another one."""
    form = PasswordResetForm({"email": email})
    if not form.is_valid():
        return
    public = urlsplit(settings.CAUSEWAY_PUBLIC_URL)
    form.save(
        domain_override=public.netloc,
        use_https=public.scheme == "https",
        subject_template_name="account/password_mail_subject.txt",
        email_template_name="account/password_mail.txt",
        from_email=settings.DEFAULT_FROM_EMAIL,
    )
