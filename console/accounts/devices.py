"""Codes that people type for a program on a machine without a browser: looked up and decided."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, NotFound
from audit.record import record
from console.accounts import throttle
from console.accounts.models import DeviceCode, User


def waiting(user_code: str, *, user: User) -> DeviceCode:
    """The request that waits under a code, however it was typed.

    Raises NotFound for none that waits, TooManyAttempts where one person has guessed too often.
    """
    letters = "".join(letter for letter in user_code.upper() if letter.isalnum())
    code = f"{letters[:4]}-{letters[4:]}"[:20]
    row = DeviceCode.objects.filter(user_code=code, approved=None, expires_at__gt=timezone.now()).first()
    if row is None:
        throttle.count(throttle.USER_CODE, str(user.pk))
        raise NotFound("no program waits with this code: it was mistyped, was decided already, or has expired")
    return row


def decide(row: DeviceCode, *, approved: bool, user: User) -> None:
    """Raises FailedPrecondition where somebody was first."""
    with transaction.atomic():
        undecided = DeviceCode.objects.filter(pk=row.pk, approved=None, expires_at__gt=timezone.now())
        if not undecided.update(approved=approved, user=user):
            raise FailedPrecondition("this code was decided already, or has expired")
        if not approved:
            record(user.username, "sign_in.deny", user.username, detail={"client": row.client, "address": row.address})
