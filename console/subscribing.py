"""Who may subscribe whom to what, and what somebody was told: the rules of all doors."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from artifacts.exceptions import PermissionDenied
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.accounts.scopes import grant_of
from scheduler.actions.subscriptions import Wish, subscribe
from scheduler.models import Channel, Execution, Notification, Subscription


def make(user: User, wish: Wish) -> Subscription:
    """An address is told of what happens in a project by its admin; everybody else himself, of what he may read.

    PermissionDenied; InvalidArgument as scheduler.actions.subscriptions.
    """
    if wish.address:
        access.require(user, Action.ADMIN, wish.project, wish.domain)
    else:
        _require_own(user, wish.project)
    return subscribe(wish, actor=user.get_username())


def _require_own(user: User, project: str) -> None:
    if not user.pk:
        raise PermissionDenied("a task's token subscribes nobody: give an address, with the rights of an admin")
    grant = grant_of(user)
    if grant is not None and not grant.is_whole and project != grant.project:
        raise PermissionDenied("a limited token subscribes its user to its own project only")
    known = access.known_projects(user)
    if project and known is not None and project not in known:
        raise access.Hidden(f"no project {project}", access.Scope(Action.READ, project, ""))


def visible(user: User) -> QuerySet[Subscription]:
    """His own, and those of the projects that he administers: addresses can be secrets."""
    grant = grant_of(user)
    own = Q(owner=user.get_username()) if user.pk else Q(pk__in=[])
    if grant is not None and grant.project:
        own &= Q(project=grant.project)
    return Subscription.objects.filter(own | Q(owner="") & access.readable(user, action=Action.ADMIN))


def log_of(user: User, subscription: Subscription) -> QuerySet[Notification]:
    """What became of telling by it; a person's, as far as he may still read where it happened."""
    rows = Notification.objects.filter(subscription=subscription).select_related("happening")
    return rows.filter(_readable(user)) if subscription.owner else rows


def told_of(user: User, execution: Execution) -> QuerySet[Notification]:
    """Who was told of it, or is to be; but for what other people subscribed to for themselves."""
    rows = Notification.objects.filter(happening__execution_key=execution.key).select_related("happening")
    return rows.filter(Q(recipient__in=("", user.get_username())) | Q(subscription=None))


def inbox(user: User) -> QuerySet[Notification]:
    """What the bell shows: what the user was told by the console and may read."""
    if not user.pk:
        return Notification.objects.none()
    rows = Notification.objects.filter(channel=Channel.CONSOLE, recipient=user.get_username())
    return rows.filter(_readable(user)).select_related("happening")


def mark_read(user: User, *, until: int) -> int:
    """All up to that one; the number of those that were not."""
    return inbox(user).filter(pk__lte=until, read_at=None).update(read_at=timezone.now())


def _readable(user: User) -> Q:
    return access.readable(user, project="happening__project", domain="happening__domain")
