"""The page of a project for its admins: members, service accounts, what was done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from artifacts.exceptions import Unauthenticated
from audit.models import AuditEvent
from console.accounts import access, tokens
from console.accounts.access import Action
from console.accounts.models import ApiToken, Role, RoleBinding, User
from scheduler.models import Project
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
PAGE = "/projects/demo/"


@pytest.fixture
def owner(world: World) -> User:
    user = User.objects.create_user("olga")
    RoleBinding.objects.create(user=user, project="demo", role=Role.ADMIN)
    return user


def test_only_its_admins_see_it(world: World, owner: User, browse: Browse) -> None:
    assert browse(owner).get(PAGE).status_code == 200
    assert browse(world.viewer).get(PAGE).status_code == 403
    assert browse(world.outsider).get(PAGE).status_code == 404
    assert 'href="/projects/demo/"' in browse(owner).get("/projects/").content.decode()
    assert 'href="/projects/demo/"' not in browse(world.viewer).get("/projects/").content.decode()
    assert "demo" not in browse(world.outsider).get("/projects/").content.decode().split("<main")[1]


@pytest.mark.parametrize(
    "path", ["change/", "members/add/", "members/1/remove/", "accounts/make/", "accounts/x/token/", "accounts/x/close/"]
)
def test_nobody_else_changes_anything(world: World, browse: Browse, path: str) -> None:
    before = RoleBinding.objects.count(), User.objects.count()
    assert browse(world.viewer).post(PAGE + path, {"user": "x", "name": "x", "role": "admin"}).status_code == 403
    assert browse(world.outsider).post(PAGE + path, {"user": "x", "name": "x", "role": "admin"}).status_code == 404
    assert (RoleBinding.objects.count(), User.objects.count()) == before


def test_roles_are_given_and_taken(world: World, owner: User, browse: Browse) -> None:
    client, tim = browse(owner), User.objects.create_user("tim")
    client.post(f"{PAGE}members/add/", {"user": "tim", "role": "approver", "domain": "production"})
    binding = RoleBinding.objects.get(user=tim)
    assert (binding.project, binding.domain, binding.role) == ("demo", "production", "approver")
    assert "tim" in client.get(PAGE).content.decode()
    client.post(f"{PAGE}members/{binding.pk}/remove/")
    assert not RoleBinding.objects.filter(user=tim).exists()
    verbs = AuditEvent.objects.filter(actor="olga").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["role.bind", "role.unbind"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"user": "nobody", "role": "viewer"}, "no user nobody"),
        ({"user": "olga", "role": "emperor"}, "a role is one of"),
        ({"user": "olga", "role": "viewer", "domain": "moon"}, "there is no domain moon"),
    ],
)
def test_what_is_wrong_is_said(world: World, owner: User, browse: Browse, form: dict[str, str], said: str) -> None:
    client = browse(owner)
    assert said in client.post(f"{PAGE}members/add/", form, follow=True).content.decode()
    assert RoleBinding.objects.filter(user=owner).count() == 1


def test_roles_of_other_projects_are_not_taken_here(world: World, owner: User, browse: Browse) -> None:
    Project.objects.get_or_create(identifier="other", defaults={"name": "other"})
    foreign = RoleBinding.objects.create(user=owner, project="other", role=Role.VIEWER)
    assert browse(owner).post(f"{PAGE}members/{foreign.pk}/remove/").status_code == 404
    assert RoleBinding.objects.filter(pk=foreign.pk).exists()


def test_a_service_account_has_tokens_for_its_project_until_it_is_closed(
    world: World, owner: User, browse: Browse
) -> None:
    client = browse(owner)
    client.post(f"{PAGE}accounts/make/", {"name": "demo-ci", "role": "contributor"})
    robot = User.objects.get(username="demo-ci")
    assert robot.service_of == "demo" and not robot.has_usable_password()
    page = client.post(f"{PAGE}accounts/demo-ci/token/", {"token": "nightly", "days": "90"}, follow=True)
    secret = page.content.decode().split('id="secret" tabindex="0">')[1].split("<")[0]
    assert secret not in client.get(PAGE).content.decode()  # shown once
    user = tokens.authenticate(secret)
    assert access.can(user, Action.LAUNCH, "demo", "development")
    RoleBinding.objects.create(user=robot, project="other", role=Role.ADMIN)
    assert not access.can(tokens.authenticate(secret), Action.READ, "other")
    client.post(f"{PAGE}accounts/demo-ci/close/")
    with pytest.raises(Unauthenticated):
        tokens.authenticate(secret)
    assert ApiToken.objects.get(user=robot).revoked_at is not None
    refused = client.post(f"{PAGE}accounts/demo-ci/token/", {"token": "again"}, follow=True).content.decode()
    assert "is closed" in refused


@pytest.mark.parametrize(
    ("name", "said"),
    [("olga", "there is an account olga already"), ("a b", "the name of an account has"), ("", "name")],
)
def test_a_service_account_needs_a_name_of_its_own(
    world: World, owner: User, browse: Browse, name: str, said: str
) -> None:
    page = browse(owner).post(f"{PAGE}accounts/make/", {"name": name, "role": "viewer"}, follow=True)
    assert said in page.content.decode()
    assert not User.objects.exclude(service_of="").exists()


def test_service_accounts_of_others_are_not_touched(world: World, owner: User, browse: Browse) -> None:
    User.objects.create_user("their-ci", service_of="other")
    assert browse(owner).post(f"{PAGE}accounts/their-ci/close/").status_code == 404
    assert browse(owner).post(f"{PAGE}accounts/their-ci/token/", {"token": "x"}).status_code == 404
    assert User.objects.get(username="their-ci").is_active


def test_name_and_description_are_changed(world: World, owner: User, browse: Browse) -> None:
    browse(owner).post(f"{PAGE}change/", {"name": "Demonstration", "description": "Shows <b>all</b>"})
    project = Project.objects.get(identifier="demo")
    assert (project.name, project.description) == ("Demonstration", "Shows <b>all</b>")
    assert "Shows &lt;b&gt;all" in browse(owner).get(PAGE).content.decode()
