from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from flytekit.clients.auth.token_client import get_basic_authorization_header

URL = "/oauth2/token"
GRANT = {"grant_type": "client_credentials"}


@pytest.mark.django_db
def test_it_gives_an_api_token_for_client_credentials(token_of: Callable[..., str]) -> None:
    token = token_of("mara", "viewer")
    header = get_basic_authorization_header("causeway", token)
    answer = Client(enforce_csrf_checks=True).post(URL, GRANT, headers={"Authorization": header})
    assert answer.status_code == 200 and answer.json()["access_token"] == token
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Bearer x", get_basic_authorization_header("a", "wrong")])
def test_it_refuses_bad_client_credentials(header: str) -> None:
    answer = Client().post(URL, GRANT, headers={"Authorization": header})
    assert answer.status_code == 401 and answer.json()["error"] == "invalid_client"


@pytest.mark.django_db
def test_it_knows_no_other_grant() -> None:
    assert Client().post(URL, {"grant_type": "password"}).status_code == 400
    assert Client().get(URL).status_code == 405
