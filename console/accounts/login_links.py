"""One-time login links: how somebody gets in without a password, printed by the command that starts Causeway."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from artifacts.exceptions import Unauthenticated
from audit.record import record
from console.accounts import throttle
from console.accounts.models import LoginLink, User
from console.accounts.tokens import digest

VALID_FOR = timedelta(minutes=10)


def create(user: User, *, valid_for: timedelta = VALID_FOR, at: str = "") -> str:
    """The whole URL of a link that logs the user in once, within `valid_for`. `at`: of the console; default: the
    public one.
    """
    now = timezone.now()
    LoginLink.objects.filter(user=user, expires_at__lt=now).delete()
    secret = secrets.token_urlsafe(32)
    LoginLink.objects.create(user=user, digest=digest(secret), expires_at=now + valid_for)
    return f"{at or settings.CAUSEWAY_PUBLIC_URL}{reverse('login-link', args=[secret])}"


def redeem(secret: str, *, address: str = "") -> User:
    """The link's user; the link is used up. Raises Unauthenticated for an unknown, used or expired one, and
    TooManyAttempts where too many of them came from the address.
    """
    try:
        return _redeem(secret)
    except Unauthenticated:
        if address:
            throttle.count(throttle.LINK, address)
        raise


def _redeem(secret: str) -> User:
    now = timezone.now()
    refused = Unauthenticated("this login link was used or has expired; ask for a new one")
    link = LoginLink.objects.select_related("user").filter(digest=digest(secret)).first()
    if link is None or not link.user.is_active:
        raise refused
    with transaction.atomic():
        # The update decides between two that redeem at the same time: it looks at the row's own columns only.
        if not LoginLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now):
            raise refused
        record(link.user.username, "login.link", link.user.username)
    return link.user
