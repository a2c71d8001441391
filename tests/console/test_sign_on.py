"""Single sign-on, with a real provider of OpenID Connect in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests
from django.test import Client
from pytest_django import Settings

from audit.models import AuditEvent
from console.accounts.models import GroupRole, Identity, Role, RoleBinding, User
from console.accounts.roles import bind
from console.oidc import _registered
from scheduler.models import Project
from tests.stack import free_port

HERE = "http://testserver"
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://localhost:{port}"
    try:
        for _ in range(300):
            try:
                requests.get(f"{url}/.well-known/openid-configuration", timeout=1)
                break
            except requests.ConnectionError:
                assert process.poll() is None, "the provider did not start"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(autouse=True)
def sign_on(provider: str, settings: Settings) -> str:
    settings.CAUSEWAY_OIDC_ISSUER = provider
    settings.CAUSEWAY_OIDC_CLIENT_ID = "causeway"
    settings.CAUSEWAY_OIDC_CLIENT_SECRET = "between the two"  # noqa: S105
    settings.CAUSEWAY_PUBLIC_URL = HERE
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for name in ("demo", "weather"):
        Project.objects.get_or_create(identifier=name, defaults={"name": name})
    _registered.cache_clear()
    return provider


def _person(provider: str, subject: str, **claims: Any) -> None:
    requests.put(f"{provider}/users/{subject}", json=claims, timeout=10).raise_for_status()


def _url_of(page: Any) -> str:
    """Where the browser goes next. No redirect: `form-action` of the page with the form holds for those too."""
    found = re.search('http-equiv="refresh" content="0;url=([^"]+)"', page.content.decode())
    assert page.status_code == 200 and found
    return unescape(found.group(1))


def _go(client: Client, subject: str, **form: str) -> Any:
    """To the provider, whose page asks who one is, and back; the last answer of Causeway."""
    away = client.post("/login/sso/", form)
    if away.status_code == 302:
        return away
    back = requests.post(_url_of(away), {"sub": subject}, timeout=10, allow_redirects=False)
    assert back.headers["Location"].startswith(f"{HERE}/login/sso/callback/"), back.text
    return client.get(back.headers["Location"].removeprefix(HERE))


def test_the_login_page_offers_it_and_a_new_person_gets_an_account(sign_on: str, client: Client) -> None:
    assert "Log in with single sign-on" in client.get("/login/").content.decode()
    _person(sign_on, "7f3a", preferred_username="mara", email="mara@example.com", given_name="Mara")
    answer = _go(client, "7f3a", next="/artifacts/")
    assert answer.headers["Location"] == "/artifacts/"
    user = User.objects.get(username="mara")
    assert (user.email, user.first_name, user.has_usable_password()) == ("mara@example.com", "Mara", False)
    assert client.get("/api/v1/me").json()["username"] == "mara"
    assert {"user.create", "login.sign_on"} <= set(AuditEvent.objects.values_list("verb", flat=True))


def test_who_logs_out_is_logged_out_at_the_provider_as_well(sign_on: str, client: Client) -> None:
    _person(sign_on, "out", preferred_username="otto")
    _go(client, "out")

    there = _url_of(client.post("/logout/"))

    assert there.startswith(f"{sign_on}/oauth2/end_session?")
    assert "post_logout_redirect_uri=http%3A%2F%2Ftestserver%2Flogin%2F" in there
    assert requests.get(there, timeout=10).status_code == 200
    assert "_auth_user_id" not in client.session
    client.force_login(User.objects.create_user("by-password"))
    assert client.post("/logout/").headers["Location"] == "/login/"


def test_an_account_belongs_to_the_subject_whatever_its_name(sign_on: str, client: Client) -> None:
    _person(sign_on, "s1", preferred_username="tom")
    _go(client, "s1")
    _person(sign_on, "s1", preferred_username="thomas")
    _go(Client(), "s1")
    assert list(User.objects.filter(identities__subject="s1").values_list("username", flat=True)) == ["tom"]


def test_nobody_takes_over_an_account_by_calling_himself_so(sign_on: str, client: Client) -> None:
    User.objects.create_superuser("admin", password="x")  # noqa: S106
    for name in ("Admin", "\uff21dmin"):  # the second has a wide letter
        _person(sign_on, "evil", preferred_username=name)
        page = client.get(_go(client, "evil").headers["Location"]).content.decode()
        assert "there is an account Admin already" in page
    assert "_auth_user_id" not in client.session and not Identity.objects.exists()


def test_who_is_logged_in_can_link_his_account(sign_on: str, client: Client) -> None:
    user = User.objects.create_user("ann", password="x")  # noqa: S106
    client.force_login(user)
    _person(sign_on, "s2", preferred_username="ann.lee")
    assert _go(client, "s2", link="1").headers["Location"] == "/sessions/"
    other = Client()
    _go(other, "s2")
    assert other.get("/api/v1/me").json()["username"] == "ann"
    thief = Client()
    thief.force_login(User.objects.create_user("tim"))
    page = thief.get(_go(thief, "s2", link="1").headers["Location"]).content.decode()
    assert "belongs to the account ann" in page
    client.post(f"/login/sso/{Identity.objects.get().pk}/unlink/")
    assert not Identity.objects.exists()


def test_groups_give_roles_and_take_them_away_and_leave_those_of_people_alone(sign_on: str, client: Client) -> None:
    GroupRole.objects.create(group="ml", project="demo", role=Role.CONTRIBUTOR)
    GroupRole.objects.create(group="ml", project="weather", domain="production", role=Role.VIEWER)
    _person(sign_on, "s3", preferred_username="eve", groups=["ml", "unknown"])
    _go(client, "s3")
    user = User.objects.get(username="eve")
    RoleBinding.objects.create(user=user, project="weather", role=Role.ADMIN)

    def roles() -> set[tuple[str, str, str]]:
        return set(user.role_bindings.values_list("project", "domain", "role"))

    given = {("demo", "", "contributor"), ("weather", "production", "viewer")}
    assert roles() == given | {("weather", "", "admin")}
    assert AuditEvent.objects.filter(verb="role.bind", actor="system:sign-on").count() == 2
    _person(sign_on, "s3", preferred_username="eve", hasgroups=True)  # more than it sends: nothing changes
    _go(Client(), "s3")
    assert roles() >= given
    _person(sign_on, "s3", preferred_username="eve")  # how many providers say that there are none
    _go(Client(), "s3")
    assert roles() == {("weather", "", "admin")}


def test_a_role_that_a_group_gave_stays_once_a_person_gives_it_too(sign_on: str, client: Client) -> None:
    GroupRole.objects.create(group="ml", project="demo", role=Role.VIEWER)
    _person(sign_on, "s6", preferred_username="kim", groups=["ml"])
    _go(client, "s6")
    root = User.objects.create_superuser("root")
    bind("kim", Role.VIEWER, project="demo", domain="", actor=root)
    _person(sign_on, "s6", preferred_username="kim", groups=[])
    _go(Client(), "s6")
    assert RoleBinding.objects.get(user__username="kim").group == ""


def test_one_group_makes_platform_administrators(sign_on: str, client: Client, settings: Settings) -> None:
    settings.CAUSEWAY_OIDC_ADMIN_GROUP = "platform"
    _person(sign_on, "s4", preferred_username="root2", groups=["platform"])
    _go(client, "s4")
    assert User.objects.get(username="root2").is_superuser
    _person(sign_on, "s4", preferred_username="root2")
    _go(Client(), "s4")
    assert not User.objects.get(username="root2").is_superuser


def test_an_account_that_is_switched_off_stays_out(sign_on: str, client: Client) -> None:
    _person(sign_on, "s5", preferred_username="old")
    _go(client, "s5")
    User.objects.filter(username="old").update(is_active=False)
    page = client.get(_go(other := Client(), "s5").headers["Location"]).content.decode()
    assert "_auth_user_id" not in other.session
    assert "Log in" in page


@pytest.mark.parametrize("query", ["", "?code=x&state=wrong", "?error=x&error_description=Call+0900+now&state=x"])
def test_a_callback_that_nobody_asked_for_logs_nobody_in_and_shows_nobodys_words(client: Client, query: str) -> None:
    answer = client.get(f"/login/sso/callback/{query}")
    assert answer.headers["Location"] == "/login/"
    page = client.get("/login/").content.decode()
    assert "single sign-on failed" in page and "0900" not in page


def test_a_provider_that_is_away_is_said(client: Client, settings: Settings) -> None:
    settings.CAUSEWAY_OIDC_ISSUER = f"http://localhost:{free_port()}"
    assert client.post("/login/sso/").headers["Location"] == "/login/"
    assert "does not answer" in client.get("/login/").content.decode()


def test_without_a_provider_there_is_none(client: Client, settings: Settings) -> None:
    settings.CAUSEWAY_OIDC_ISSUER = ""
    assert client.post("/login/sso/").status_code == 404 and client.get("/login/sso/callback/").status_code == 404
    assert "single sign-on" not in client.get("/login/").content.decode()
