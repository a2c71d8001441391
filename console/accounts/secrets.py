"""Secrets of tasks: who may see their names, set and remove them."""

from __future__ import annotations

from django.db.models import QuerySet

from console.accounts import access
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
    return actions.set_secret(name, value, project=project, domain=domain, actor=actor.username)


def remove(secret: Secret, *, actor: User) -> None:
    access.require(actor, Action.ADMIN, secret.project, secret.domain)
    actions.remove_secret(secret, actor=actor.username)
