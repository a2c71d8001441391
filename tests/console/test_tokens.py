from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument, Unauthenticated
from audit.models import AuditEvent
from console.accounts import access, login_links, tokens
from console.accounts.models import ApiToken, LoginLink, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann")


def test_it_keeps_only_the_hash_of_a_secret(ann: User) -> None:
    token, secret = tokens.create(ann, "ci")
    assert secret.startswith("cwy_")
    assert secret not in str(ApiToken.objects.filter(pk=token.pk).values().get())
    assert access.authenticate_token(secret) == ann
    assert AuditEvent.objects.get().verb == "token.create"


def test_it_refuses_an_unknown_secret() -> None:
    with pytest.raises(Unauthenticated):
        access.authenticate_token("cwy_nonsense")


def test_it_refuses_an_expired_token(ann: User) -> None:
    token, secret = tokens.create(ann, "ci", timezone.now() + timedelta(days=1))
    access.authenticate_token(secret)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        access.authenticate_token(secret)


def test_it_refuses_a_revoked_token(ann: User) -> None:
    token, secret = tokens.create(ann, "ci")
    tokens.revoke(token, actor="ann")
    tokens.revoke(token, actor="ann")
    with pytest.raises(Unauthenticated):
        access.authenticate_token(secret)
    assert AuditEvent.objects.filter(verb="token.revoke").count() == 1


def test_it_refuses_the_token_of_an_inactive_user(ann: User) -> None:
    _, secret = tokens.create(ann, "ci")
    User.objects.update(is_active=False)
    with pytest.raises(Unauthenticated):
        access.authenticate_token(secret)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_it_refuses_a_bad_token_name(ann: User, name: str) -> None:
    with pytest.raises(InvalidArgument):
        tokens.create(ann, name)


def test_it_refuses_an_expiry_in_the_past(ann: User) -> None:
    with pytest.raises(InvalidArgument, match="future"):
        tokens.create(ann, "ci", timezone.now())


def test_it_writes_the_last_use_at_most_once_a_minute(ann: User, django_assert_num_queries: object) -> None:
    token, secret = tokens.create(ann, "ci")
    access.authenticate_token(secret)
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    with django_assert_num_queries(1):  # type: ignore[operator]
        access.authenticate_token(secret)
    ApiToken.objects.update(last_used_at=first - timedelta(seconds=61))
    access.authenticate_token(secret)
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert token.last_used_at >= first


def test_the_command_prints_a_working_secret(ann: User) -> None:
    out = io.StringIO()
    call_command("create_token", user="ann", days=1, stdout=out)
    assert access.authenticate_token(out.getvalue().strip()) == ann
    with pytest.raises(CommandError, match="no user named bob"):
        call_command("create_token", user="bob")


def test_a_login_link_logs_in_once(ann: User, client: Client) -> None:
    out = io.StringIO()
    call_command("login_link", user="ann", stdout=out)
    path = out.getvalue().strip().removeprefix("http://localhost:8000")
    assert client.get(path, headers={"sec-purpose": "prefetch"}).status_code == 503
    assert client.head(path).status_code == 405
    response = client.get(path + "?next=/launch")
    assert (response.status_code, response["Location"]) == (302, "/launch")
    assert client.session["_auth_user_id"] == str(ann.pk)
    other = Client()
    other.get(path)
    assert "_auth_user_id" not in other.session


def test_a_login_link_leads_to_where_the_set_up_was_started(
    ann: User, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CAUSEWAY_HOME = tmp_path
    (tmp_path / "flyte.yaml").write_text('{"console": {"endpoint": "http://localhost:8123"}}')
    for name in ("CAUSEWAY_PUBLIC_URL", "CAUSEWAY_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    out = io.StringIO()
    call_command("login_link", user="ann", stdout=out)
    assert out.getvalue().startswith("http://localhost:8123/login/link/")
    monkeypatch.setenv("CAUSEWAY_HTTP_PORT", "8000")
    call_command("login_link", user="ann", stdout=out)
    assert "http://localhost:8000/login/link/" in out.getvalue()


def test_a_login_link_leads_nowhere_else(ann: User, client: Client) -> None:
    path = login_links.create(ann).removeprefix("http://localhost:8000")
    assert client.get(path + "?next=https://evil.example/")["Location"] == "/"


@pytest.mark.parametrize("spoil", ["expired", "inactive", "unknown"])
def test_it_refuses_a_spoilt_login_link(ann: User, spoil: str) -> None:
    secret = login_links.create(ann).rsplit("/", 1)[1]
    if spoil == "expired":
        LoginLink.objects.update(expires_at=timezone.now())
    elif spoil == "inactive":
        User.objects.update(is_active=False)
    else:
        secret = "x"
    with pytest.raises(Unauthenticated):
        login_links.redeem(secret)
