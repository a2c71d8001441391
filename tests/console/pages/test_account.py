from __future__ import annotations

from collections.abc import Callable

import pytest
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


def test_who_logs_in_again_after_sending_a_form_comes_to_its_page_and_hears_that_it_was_not_done(world: World) -> None:
    client = Client()
    answer = client.post(f"/approvals/{world.gate.pk}/decide/", {"decision": "approve"})
    assert answer["Location"] == f"/login/?next=/approvals/{world.gate.pk}/decide/"
    assert "what you sent was not done" in client.get(answer["Location"]).content.decode()

    form = {"username": "admin", "password": "admin-password", "next": f"/approvals/{world.gate.pk}/decide/"}
    there = client.post("/login/", form, follow=True)

    assert there.redirect_chain[-1] == (f"/approvals/{world.gate.pk}/", 302) and there.status_code == 200
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None


@pytest.mark.parametrize(
    ("sent_to", "page"),
    [
        ("/executions/demo/development/aevaluates/abort/", "/executions/demo/development/aevaluates/"),
        ("/usage/prices/set/", "/usage/"),
        ("/quotas/set/", "/quotas/"),
        ("/tokens/1/revoke/", "/tokens/"),
        ("/projects/demo/members/1/remove/", "/projects/demo/"),
        ("/artifacts/versions/1/hold/1/", "/artifacts/versions/1/"),
        ("/schedules/1/", "/schedules/"),
        ("/scope/", "/"),
    ],
)
def test_the_address_of_a_form_leads_to_its_page(world: World, browse: Browse, sent_to: str, page: str) -> None:
    answer = browse(world.admin).get(sent_to, follow=True)

    assert answer.redirect_chain[-1][0] == page


def test_what_is_no_page_still_says_which_methods_it_takes(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    assert client.get("/oauth2/token").status_code == 405
    assert client.get("/theme/").status_code == 405
    assert client.put("/executions/").status_code == 405
    assert client.get("/scope/", headers={"HX-Request": "true"}).status_code == 405
