"""The audit trail: doors write one row for every change a person or client makes through them, in its transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction

from console.accounts.models import AuditEvent


@contextmanager
def recording(
    actor: str | AbstractBaseUser | AnonymousUser,
    verb: str,
    subject: object,
    *,
    project: str = "",
    domain: str = "",
    detail: Mapping[str, object] | None = None,
) -> Iterator[None]:
    """What is done within and the row that says so commit together, or neither does."""
    with transaction.atomic():
        yield
        record(actor, verb, subject, project=project, domain=domain, detail=detail)


def record(
    actor: str | AbstractBaseUser | AnonymousUser,
    verb: str,
    subject: object,
    *,
    project: str = "",
    domain: str = "",
    detail: Mapping[str, object] | None = None,
) -> AuditEvent:
    """`verb` is dotted (`gate.approve`), `subject` names the thing as a person would, `detail` is JSON-able."""
    name = actor if isinstance(actor, str) else actor.get_username()
    return AuditEvent.objects.create(
        actor=name[:150],
        verb=verb,
        project=project,
        domain=domain,
        subject=str(subject)[:500],
        detail=dict(detail or {}),
    )
