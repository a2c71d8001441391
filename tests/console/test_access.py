from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from artifacts.exceptions import NotFound, PermissionDenied, Unauthenticated
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import NamedEntity

pytestmark = pytest.mark.django_db


def make_user(name: str, role: Role | None = None, project: str = "", domain: str = "", **fields: bool) -> User:
    user = User.objects.create(username=name, **fields)
    if role is not None:
        RoleBinding.objects.create(user=user, role=role, project=project, domain=domain)
    return user


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {Action.READ}),
        (Role.CONTRIBUTOR, {Action.READ, Action.PUBLISH, Action.LAUNCH, Action.REGISTER}),
        (Role.APPROVER, {Action.READ, Action.PUBLISH, Action.LAUNCH, Action.REGISTER, Action.DECIDE, Action.ACTIVATE}),
        (Role.ADMIN, set(Action)),
    ],
)
def test_it_includes_the_lesser_roles(role: Role, allowed: set[Action]) -> None:
    user = make_user("ann", role, "p")
    assert {action for action in Action if access.can(user, action, "p", "development")} == allowed


def test_it_allows_a_superuser_everything() -> None:
    root = make_user("root", is_superuser=True)
    for action in Action:
        access.require(root, action)
    assert access.known_projects(root) is None


def test_it_refuses_an_inactive_superuser() -> None:
    with pytest.raises(PermissionDenied):
        access.require(make_user("root", is_superuser=True, is_active=False), Action.READ, "p", "d")


def test_it_keeps_a_project_binding_to_its_project() -> None:
    user = make_user("ann", Role.ADMIN, "p")
    access.require(user, Action.ADMIN, "p")
    for project, domain in [("q", "development"), ("", "")]:
        with pytest.raises(PermissionDenied, match="ann may not read"):
            access.require(user, Action.READ, project, domain)


def test_it_keeps_a_domain_binding_to_its_domain() -> None:
    user = make_user("ann", Role.APPROVER, "p", "staging")
    access.require(user, Action.DECIDE, "p", "staging")
    for domain in ("production", ""):
        with pytest.raises(PermissionDenied):
            access.require(user, Action.READ, "p", domain)


def test_it_asks_nobody_to_log_in() -> None:
    with pytest.raises(Unauthenticated):
        access.require(AnonymousUser(), Action.READ, "p", "d")


def test_it_does_not_tell_strangers_what_exists() -> None:
    user = make_user("ann", Role.VIEWER, "p")
    with pytest.raises(NotFound, match="no execution q/d/x"):
        access.require_found(user, Action.LAUNCH, "q", "d", what="execution q/d/x")
    with pytest.raises(PermissionDenied, match="role contributor"):
        access.require_found(user, Action.LAUNCH, "p", "d", what="execution p/d/x")


@pytest.mark.parametrize(
    ("project", "domain", "known", "rows"),
    [
        ("", "", None, {"p/dev", "p/prod", "q/dev"}),
        ("p", "", ["p"], {"p/dev", "p/prod"}),
        ("p", "prod", ["p"], {"p/prod"}),
        ("", "dev", None, {"p/dev", "q/dev"}),
    ],
)
def test_it_filters_rows_by_the_width_of_a_binding(
    project: str, domain: str, known: list[str] | None, rows: set[str]
) -> None:
    for p, d in [("p", "dev"), ("p", "prod"), ("q", "dev")]:
        NamedEntity.objects.create(resource_type=1, project=p, domain=d, name="x")
    user = make_user("ann", Role.VIEWER, project, domain)
    assert access.known_projects(user) == known
    found = NamedEntity.objects.filter(access.readable(user))
    assert {f"{row.project}/{row.domain}" for row in found} == rows


def test_it_shows_nothing_to_whom_nothing_is_bound() -> None:
    NamedEntity.objects.create(resource_type=1, project="p", domain="d", name="x")
    user = make_user("ann")
    assert access.known_projects(user) == []
    assert not NamedEntity.objects.filter(access.readable(user)).exists()
    assert not NamedEntity.objects.filter(access.readable(AnonymousUser())).exists()


def test_it_reads_the_bindings_once_for_each_user_object(django_assert_num_queries: object) -> None:
    user = make_user("ann", Role.VIEWER, "p")
    with django_assert_num_queries(1):  # type: ignore[operator]
        access.can(user, Action.READ, "p")
        access.can(user, Action.LAUNCH, "p")
        access.readable(user)


def test_it_makes_a_local_admin_only_when_there_is_none() -> None:
    make_user("admin")
    admin = access.local_admin()
    assert (admin.username, admin.is_superuser, admin.has_usable_password()) == ("local-admin", True, False)
    assert access.local_admin() == admin


def test_it_takes_the_oldest_superuser_as_local_admin() -> None:
    root = make_user("root", is_superuser=True)
    make_user("root2", is_superuser=True)
    assert access.local_admin() == root
