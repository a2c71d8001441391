"""Connections of tasks: who may see, set and remove them."""

from __future__ import annotations

from django.db.models import QuerySet

from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from scheduler.actions import connections as actions
from scheduler.actions.connections import Wanted
from scheduler.models import Connection


def visible(user: User) -> QuerySet[Connection]:
    """Those of the places the user registers tasks in, which can ask for them; without what is sealed."""
    return Connection.objects.filter(access.readable(user, action=Action.REGISTER)).defer("sealed")


def put(name: str, wanted: Wanted, *, project: str, domain: str, actor: User) -> tuple[Connection, bool]:
    """Set it, and whether it is new. The one who sets it administers the place: all of it where that is wider."""
    access.require(actor, Action.ADMIN, project, domain)
    return actions.set_connection(name, wanted, project=project, domain=domain, actor=actor.username)


def remove(connection: Connection, *, actor: User) -> None:
    access.require(actor, Action.ADMIN, connection.project, connection.domain)
    actions.remove_connection(connection, actor=actor.username)
