from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings as SettingsWrapper

from console.accounts.models import User
from tests.console.pages.cast import World, make_world


@pytest.fixture
def world(db: None, cheap_passwords: None) -> World:
    return make_world()


@pytest.fixture
def browse() -> Callable[[User], Client]:
    """A browser of somebody who is logged in."""

    def of(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return of


@pytest.fixture(autouse=True)
def cheap_passwords(settings: SettingsWrapper) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
