from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from console.accounts import tokens
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import Project

Caller = Callable[[str], APIClient]

# A small cast: everybody's role in project `demo`; sue has one elsewhere only.
ROLES = {"vic": Role.VIEWER, "ann": Role.CONTRIBUTOR, "abe": Role.APPROVER, "ada": Role.ADMIN}


@pytest.fixture
def cast(db: None) -> dict[str, User]:
    people = {"root": User.objects.create(username="root", is_superuser=True, is_staff=True)}
    for name, role in ROLES.items():
        people[name] = User.objects.create(username=name)
        RoleBinding.objects.create(user=people[name], role=role, project="demo")
    for name in ("demo", "elsewhere"):
        Project.objects.get_or_create(identifier=name, defaults={"name": name})
    people["sue"] = User.objects.create(username="sue")
    RoleBinding.objects.create(user=people["sue"], role=Role.ADMIN, project="elsewhere")
    return people


@pytest.fixture
def api(cast: dict[str, User]) -> Caller:
    """`api("ann")` is a client that sends ann's token."""

    def client(name: str) -> APIClient:
        _token, secret = tokens.create(cast[name], "tests")
        found = APIClient()
        found.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return found

    return client


@pytest.fixture
def browser(cast: dict[str, User]) -> Callable[[str], Client]:
    """`browser("ann")` is a client with ann's session, whose posts are checked for CSRF."""

    def client(name: str) -> Client:
        found = Client(enforce_csrf_checks=True)
        found.force_login(cast[name])
        return found

    return client


@pytest.fixture(autouse=True)
def store_of_this_test(object_store: str) -> str:
    return object_store


def problem(response: Any, status: int) -> dict[str, Any]:
    """The response's problem details, checked for their form."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"] and body["detail"] and body["code"] and body["type"]
    return body
