from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from console.accounts import tokens
from console.accounts.models import ApiToken, User
from tests.console.pages.cast import World

Browse = Callable[[User], Client]


def test_it_logs_in_and_returns_to_where_one_wanted_to_go(world: World) -> None:
    client = Client()
    form = {"username": "admin", "password": "admin-password", "next": "/approvals/"}

    assert client.post("/login/", form)["Location"] == "/approvals/"
    assert client.get("/approvals/").status_code == 200


def test_it_says_nothing_about_which_of_the_two_was_wrong(world: World) -> None:
    response = Client().post("/login/", {"username": "admin", "password": "guess"})

    assert response.status_code == 200 and b"do not match" in response.content


def test_it_never_redirects_to_another_site(world: World) -> None:
    form = {"username": "admin", "password": "admin-password", "next": "https://evil.example/"}

    assert Client().post("/login/", form)["Location"] == "/"
    assert Client().post("/theme/", {"theme": "dark", "next": "//evil.example/"})["Location"] == "/"


def test_it_logs_out(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_it_shows_a_token_once_and_revokes_it(world: World, browse: Browse) -> None:
    client = browse(world.viewer)

    page = client.post("/tokens/create/", {"name": "nightly", "days": "30"}, follow=True)
    secret = page.context["fresh"]["secret"]
    assert secret in page.content.decode()
    assert secret not in client.get("/tokens/").content.decode()
    assert tokens.authenticate(secret) == world.viewer

    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert browse(world.admin).post(f"/tokens/{token.pk}/revoke/").status_code == 404
    client.post(f"/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_it_keeps_the_chosen_project(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    client.post("/scope/", {"scope": "elsewhere/staging", "next": "/artifacts/"})
    assert "ml-model" not in client.get("/artifacts/").content.decode()
    assert "elsewhere / staging" in client.get("/artifacts/").content.decode()
    client.post("/scope/", {"scope": ""})
    assert "ml-model" in client.get("/artifacts/").content.decode()


def test_it_keeps_the_theme(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    client.post("/theme/", {"theme": "dark"})
    assert 'data-theme="dark"' in client.get("/").content.decode()
    client.post("/theme/", {"theme": "neon"})
    assert 'data-theme="dark"' in client.get("/").content.decode()
    assert "data-times" not in client.get("/").content.decode()
    client.post("/theme/", {"times": "utc"})
    page = client.get("/").content.decode()
    assert 'data-times="utc"' in page and 'data-theme="dark"' in page
    run = world.attempt.node.execution
    logs = client.get(f"/executions/{run.key}/logs/").content.decode()  # where times may be left out
    assert 'data-times="utc"' in logs and 'value="utc" aria-pressed="true"' in logs
