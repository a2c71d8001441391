from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from console.accounts import access
from console.accounts.models import ApiToken, AuditEvent, RoleBinding, User
from scheduler.models import Project

pytestmark = pytest.mark.django_db

MODELS: list[type[Model]] = sorted(admin.site._registry, key=str)


@pytest.fixture
def root(client: Client) -> User:
    user = User.objects.create(username="root", is_superuser=True, is_staff=True)
    client.force_login(user)
    return user


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_list_and_form_opens_for_a_superuser(client: Client, root: User, model: type[Model]) -> None:
    meta = model._meta
    prefix = f"admin:{meta.app_label}_{meta.model_name}"
    assert client.get(reverse(f"{prefix}_changelist") + "?q=x").status_code == 200
    assert client.get(reverse(f"{prefix}_add")).status_code in (200, 403)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_staff_without_superuser_see_nothing(client: Client, model: type[Model]) -> None:
    staff = User.objects.create(username="staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.all())
    client.force_login(staff)
    meta = model._meta
    assert client.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")).status_code == 403


def test_others_are_sent_to_log_in(client: Client) -> None:
    client.force_login(User.objects.create(username="ann"))
    assert client.get("/admin/").status_code == 302


def test_facts_cannot_be_changed(client: Client, root: User) -> None:
    event = AuditEvent.objects.create(actor="a", verb="b", subject="c")
    url = reverse("admin:accounts_auditevent_change", args=[event.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"actor": "x"}).status_code == 403
    assert client.post(reverse("admin:accounts_auditevent_delete", args=[event.pk]), {"post": "yes"}).status_code == 403


def test_a_token_shows_its_secret_once(client: Client, root: User) -> None:
    ann = User.objects.create(username="ann")
    url = reverse("admin:accounts_apitoken_add")
    response = client.post(url, {"user": ann.pk, "name": "ci"}, follow=True)
    message = next(str(each) for each in response.context["messages"] if "cwy_" in str(each))
    assert access.authenticate_token(message.split()[-1]) == ann
    token = ApiToken.objects.get()
    changelist = reverse("admin:accounts_apitoken_changelist")
    assert "cwy_" not in client.get(changelist).content.decode()
    client.post(changelist, {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_role_bindings_leave_a_trace(client: Client, root: User) -> None:
    ann = User.objects.create(username="ann")
    client.post(reverse("admin:accounts_rolebinding_add"), {"user": ann.pk, "role": "viewer", "project": "p"})
    binding = RoleBinding.objects.get()
    client.post(reverse("admin:accounts_rolebinding_delete", args=[binding.pk]), {"post": "yes"})
    assert not RoleBinding.objects.exists()
    assert list(AuditEvent.objects.order_by("id").values_list("verb", flat=True)) == ["role.bind", "role.unbind"]


def test_projects_keep_their_identifier_and_are_never_deleted(client: Client, root: User) -> None:
    project = Project.objects.create(identifier="p", name="P")
    form = {"identifier": "q", "name": "New", "description": "", "labels": "{}", "state": "0"}
    client.post(reverse("admin:scheduler_project_change", args=[project.pk]), form)
    project.refresh_from_db()
    assert (project.identifier, project.name) == ("p", "New")
    assert client.get(reverse("admin:scheduler_project_delete", args=[project.pk])).status_code == 403
