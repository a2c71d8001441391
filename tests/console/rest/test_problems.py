from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from console.accounts.models import ApiToken, User
from console.rest import identity
from tests.console.rest.conftest import Caller, problem


def test_it_asks_for_a_token(db: None) -> None:
    response = APIClient().get("/api/v1/me")
    assert problem(response, 401)["code"] == "UNAUTHENTICATED"
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer", "Bearer cwy_unknown", "Basic YTpi", "cwy_bare"])
def test_it_refuses_a_bad_authorization_header(db: None, header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    problem(client.get("/api/v1/me"), 401)


def test_it_refuses_an_expired_token(api: Caller) -> None:
    client = api("ann")
    assert client.get("/api/v1/me").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in problem(client.get("/api/v1/me"), 401)["detail"]


@pytest.mark.parametrize("path", ["/api/v1/nonsense", "/api/v1/", "/api/v2/me"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_it_answers_with_a_problem_where_nothing_is(db: None, path: str, method: str) -> None:
    problem(getattr(Client(enforce_csrf_checks=True), method)(path), 404)


def test_it_names_the_methods_it_knows(api: Caller) -> None:
    response = api("ann").post("/api/v1/me")
    problem(response, 405)
    assert "GET" in response["Allow"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"name": "x", "nmae": 1}', "application/json", 400),
        (b'{"name": {"a": 1}}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b"<a/>", "application/xml", 415),
        (b"", "application/json", 400),
    ],
)
def test_it_explains_a_bad_body(api: Caller, body: bytes, content_type: str, status: int) -> None:
    problem(api("ann").post("/api/v1/tokens", body, content_type=content_type), status)


def test_it_points_at_the_wrong_member(api: Caller) -> None:
    body = problem(api("ann").post("/api/v1/tokens", {"nmae": "x"}), 400)
    assert {"pointer": "#/nmae", "detail": "unknown; known are: expires_at, name, project, scopes"} in body["errors"]


def test_it_refuses_a_body_that_is_too_large(api: Caller) -> None:
    problem(api("ann").post("/api/v1/tokens", {"name": "x" * (10 * 1024**2)}), 413)


def test_it_does_not_take_a_chunked_body_for_an_empty_one(api: Caller) -> None:
    chunked: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    problem(api("ann").post("/api/v1/tokens", {"name": "x"}, **chunked), 411)


def test_it_refuses_an_unknown_filter(api: Caller) -> None:
    assert "unknown" in problem(api("ann").get("/api/v1/tokens?order=asc"), 400)["detail"]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=W10=", "cursor=WyJhIiwgMV0=", "limit=0", "limit=501", "limit=x"])
def test_it_refuses_a_bad_page(api: Caller, query: str) -> None:
    problem(api("ann").get(f"/api/v1/tokens?{query}"), 400)


def test_it_does_not_stumble_over_a_nul_in_a_name(api: Caller) -> None:
    problem(api("ann").get("/api/v1/executions/demo/development/a%00b"), 404)


def test_it_keeps_an_internal_error_to_itself(
    api: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> User:
        raise RuntimeError("secret")

    monkeypatch.setattr(identity, "user_of", fail)
    assert "secret" not in problem(api("ann").get("/api/v1/me"), 500)["detail"]
    assert "secret" in caplog.text


def test_it_says_that_the_disk_is_full(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> User:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(identity, "user_of", fail)
    told = problem(api("ann").get("/api/v1/me"), 507)
    assert "disk of the object store is full" in told["detail"]
    assert told["code"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), InterfaceError("connection lost")])
def test_a_database_that_is_away_is_no_internal_error(
    api: Caller, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Programs ask again after a 503, and not after a 500."""

    def fail(*_: object) -> User:
        raise error

    monkeypatch.setattr(identity, "user_of", fail)
    told = problem(api("ann").get("/api/v1/me"), 503)
    assert (told["code"], told["detail"]) == ("UNAVAILABLE", "the database does not answer: try again in a moment")


def test_a_session_reads_without_a_token(browser: Callable[[str], Client]) -> None:
    assert browser("ann").get("/api/v1/me").json()["username"] == "ann"


def test_a_session_writes_only_with_a_csrf_token(browser: Callable[[str], Client]) -> None:
    client = browser("ann")
    refused = client.post("/api/v1/tokens", {"name": "x"}, content_type="application/json")
    assert "CSRF" in problem(refused, 403)["detail"]
    client.get("/admin/login/")
    client.cookies["csrftoken"] = "a" * 32
    made = client.post(
        "/api/v1/tokens", {"name": "x"}, content_type="application/json", headers={"x-csrftoken": "a" * 32}
    )
    assert made.status_code == 201


def test_it_speaks_json_whatever_is_accepted(api: Caller) -> None:
    assert api("ann").get("/api/v1/me", headers={"accept": "text/html"}).json()["username"] == "ann"
