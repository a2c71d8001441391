"""Passwords, wherever one is asked for: the console's login and the admin panel's."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from console.accounts import throttle
from console.accounts.models import User


class PasswordBackend(ModelBackend):
    """Raises TooManyAttempts, of which the middleware makes a page."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        account, address = username.casefold(), throttle.address_of(request)
        with throttle.password_attempt(account, address):
            user = super().authenticate(request, username=username, password=password)
        if user is None:
            raise PermissionDenied  # no other backend is asked: each would prove the password again
        throttle.password_was_right(account, address)
        return user
