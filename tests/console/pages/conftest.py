from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from tests.console.pages.cast import World, make_world


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def browse() -> Callable[[User], Client]:
    """A browser of somebody who is logged in."""

    def of(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return of
