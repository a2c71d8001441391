"""Tokens that are good for less than their user, and what is made with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from artifacts.exceptions import InvalidArgument, PermissionDenied, Unauthenticated
from audit.models import AuditEvent
from console.accounts import access, tokens
from console.accounts.access import Action
from console.accounts.models import ApiToken, Role, RoleBinding, User
from console.accounts.scopes import SCOPES, forget_caller
from scheduler.authority import Authority
from scheduler.models import Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    """Admin of p, contributor of q."""
    user = User.objects.create_user("ann")
    RoleBinding.objects.create(user=user, project="p", role=Role.ADMIN)
    RoleBinding.objects.create(user=user, project="q", role=Role.CONTRIBUTOR)
    return user


@pytest.fixture
def root() -> User:
    return User.objects.create_user("root", is_superuser=True, is_staff=True)


def through(owner: User, **over: Any) -> User:
    """Who comes with a token of these scopes."""
    return access.authenticate_token(tokens.create(owner, "t", **over)[1])


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_allows_its_actions_and_no_others(ann: User, root: User, scope: str) -> None:
    for owner in (ann, root):
        user = through(owner, scopes=[scope])
        for action in Action:
            assert access.can(user, action, "p", "development") == (action in SCOPES[scope]), action


def test_no_scope_means_all_that_the_user_may(ann: User) -> None:
    user = through(ann)
    assert all(access.can(user, action, "p", "development") for action in Action)
    assert not access.can(user, Action.ADMIN, "q", "development")


def test_a_scope_gives_nothing_that_the_user_may_not(ann: User) -> None:
    assert not access.can(through(ann, scopes=["admin", "approve"]), Action.DECIDE, "q", "development")


def test_a_project_keeps_it_out_of_all_others(ann: User, root: User) -> None:
    Project.objects.bulk_create(Project(identifier=name, name=name) for name in ("p", "q"))
    for owner in (ann, root):
        user = through(owner, project="q")
        assert access.can(user, Action.LAUNCH, "q", "development")
        assert not access.can(user, Action.READ, "p", "development")
        assert not access.can(user, Action.ADMIN)
        assert access.known_projects(user) == ["q"]
        seen = Project.objects.filter(access.readable(user, project="identifier", domain="name"))
        assert [project.identifier for project in seen] == ["q"]


def test_a_narrow_token_of_a_superuser_is_none(root: User) -> None:
    user = through(root, scopes=["read"])
    assert (user.is_superuser, user.is_staff) == (False, False)
    assert User.objects.get(pk=root.pk).is_superuser


def test_the_refusal_names_the_scopes(ann: User) -> None:
    with pytest.raises(PermissionDenied, match="may not launch: its scopes are read, publish"):
        access.require(through(ann, scopes=["publish", "read"]), Action.LAUNCH, "p", "development")


def test_what_is_made_with_it_may_do_no_more(ann: User) -> None:
    maker = through(ann, scopes=["read", "publish"], project="p")
    with pytest.raises(InvalidArgument, match="does not have the scope admin itself"):
        tokens.create(maker, "more", scopes=["admin"])
    with pytest.raises(InvalidArgument, match="for the project p only"):
        tokens.create(maker, "elsewhere", project="q")
    child = tokens.create(maker, "same")[0]
    assert (child.scopes, child.project) == (["read", "publish"], "p")
    assert tokens.create(maker, "less", scopes=["read"])[0].scopes == ["read"]


def test_what_is_made_with_it_lives_no_longer(ann: User) -> None:
    until = timezone.now() + timedelta(days=2)
    maker = through(ann, expires_at=until)
    assert tokens.create(maker, "silent")[0].expires_at == until
    assert tokens.create(maker, "sooner", until - timedelta(days=1))[0].expires_at == until - timedelta(days=1)
    with pytest.raises(InvalidArgument, match="this one must too"):
        tokens.create(maker, "later", until + timedelta(seconds=1))


def test_revoking_one_ends_all_that_were_made_with_it(ann: User) -> None:
    first, secret = tokens.create(ann, "first")
    second_secret = tokens.create(access.authenticate_token(secret), "second")[1]
    third_secret = tokens.create(access.authenticate_token(second_secret), "third")[1]
    other = tokens.create(ann, "other")[1]
    tokens.revoke(first, actor="ann")
    for each in (secret, second_secret, third_secret):
        with pytest.raises(Unauthenticated):
            access.authenticate_token(each)
    assert access.authenticate_token(other) == ann
    assert AuditEvent.objects.filter(verb="token.revoke").count() == 3


def test_a_revoked_one_makes_no_others(ann: User) -> None:
    first, secret = tokens.create(ann, "first")
    maker = access.authenticate_token(secret)
    tokens.revoke(first, actor="ann")
    with pytest.raises(Unauthenticated):
        tokens.create(maker, "late")


def test_a_task_makes_none() -> None:
    with pytest.raises(PermissionDenied, match="a task's token"):
        tokens.create(User(pk=0, username="ann"), "mine")


def api(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_rest_makes_and_shows_them(ann: User) -> None:
    secret = tokens.create(ann, "first", scopes=["read", "publish"], project="p")[1]
    made = api(secret).post("/api/v1/tokens", {"name": "ci", "scopes": ["read"]})
    assert made.status_code == 201, made.data
    assert (made.data["scopes"], made.data["project"]) == (["read"], "p")
    assert made.data["made_with"] == ApiToken.objects.get(name="first").pk
    assert api(secret).post("/api/v1/tokens", {"name": "ci", "scopes": ["launch"]}).status_code == 400
    assert api(secret).post("/api/v1/tokens", {"name": "ci", "scopes": ["fly"]}).status_code == 400
    assert ApiToken.objects.count() == 2


def test_a_narrow_one_revokes_itself_and_no_stranger(ann: User) -> None:
    narrow, secret = tokens.create(ann, "narrow", scopes=["read"])
    other = tokens.create(ann, "other")[0]
    assert api(secret).delete(f"/api/v1/tokens/{other.pk}").status_code == 403
    assert api(secret).delete(f"/api/v1/tokens/{narrow.pk}").status_code == 204
    assert api(secret).get("/api/v1/me").status_code == 401


def test_the_command_makes_narrow_ones(root: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_token", user="root", scope=["publish"], project="p")
    user = access.authenticate_token(capsys.readouterr().out.strip())
    assert access.can(user, Action.PUBLISH, "p", "development")
    assert not access.can(user, Action.LAUNCH, "p", "development")


@pytest.mark.accounts
def test_what_a_call_refers_to_is_asked_of_the_token_it_came_with(ann: User) -> None:
    """References are asked about by the name of the principal: a token of one project leads to no other by them."""

    def reads() -> list[bool]:
        return [Authority("ann").reads(project, "development") for project in ("p", "q")]

    assert reads() == [True, True]
    through(ann, project="p")
    assert reads() == [True, False]
    forget_caller()  # as at the start of every request and call: the thread answers somebody else now
    assert reads() == [True, True]
