"""Secrets of tasks: who may set and remove them, and the row in the audit trail that says who did, never what."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from console.accounts import access, audit
from console.accounts.access import Action
from console.accounts.models import User
from scheduler.actions import secrets as actions
from scheduler.models import Secret
from scheduler.secrets.names import Name


def visible(user: User) -> QuerySet[Secret]:
    """The rows whose names the user may see: those of the places he registers tasks in, which can ask for them."""
    return Secret.objects.filter(access.readable(user, action=Action.REGISTER)).defer("sealed")


def put(name: Name, value: bytes, *, project: str, domain: str, actor: User) -> tuple[Secret, bool]:
    """Set it, and whether it is new. The one who sets it administers the place: all of it where that is wider."""
    access.require(actor, Action.ADMIN, project, domain)
    with transaction.atomic():
        row, made = actions.set_secret(name, value, project=project, domain=domain, actor=actor.username)
        audit.record(actor, "secret.create" if made else "secret.replace", row, project=project, domain=domain)
    return row, made


def remove(secret: Secret, *, actor: User) -> None:
    access.require(actor, Action.ADMIN, secret.project, secret.domain)
    with audit.recording(actor, "secret.remove", str(secret), project=secret.project, domain=secret.domain):
        actions.remove_secret(secret)
