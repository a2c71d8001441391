"""flytekit's own ways to log in, with plain configurations of it, against Causeway's accounts."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone
from flytekit.clients.auth import auth_client, token_client
from flytekit.clients.auth.keyring import KeyringStore
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.configuration import AuthType, PlatformConfig
from flytekit.exceptions.system import FlyteSystemException
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from audit.models import AuditEvent
from console.accounts import sign_ins
from console.accounts.models import ApiToken, DeviceCode, RoleBinding, SignIn, User
from console.oauth.clients import REDIRECT_URI
from scheduler.models import Project

PASSWORD = "a long pass-phrase of hers"  # noqa: S105


@pytest.fixture
def web(live_server: LiveServer, settings: Settings, address: str) -> str:
    """The address of a running web process beside the gRPC door, which wants tokens."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CAUSEWAY_GRPC_AUTH = "token"
    settings.CAUSEWAY_PUBLIC_URL = live_server.url
    settings.ALLOWED_HOSTS = ["*"]
    Project.objects.get_or_create(identifier="demo", defaults={"name": "Demo"})
    user = User.objects.create_user("mara", password=PASSWORD)
    RoleBinding.objects.create(user=user, project="demo", role="contributor")
    return live_server.url


@pytest.fixture(autouse=True)
def own_keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What flytekit would keep in the keyring of the machine."""
    kept: dict[str, Any] = {}
    monkeypatch.setattr(KeyringStore, "store", lambda creds: kept.update({creds.for_endpoint: creds}) or creds)
    monkeypatch.setattr(KeyringStore, "retrieve", kept.get)
    monkeypatch.setattr(auth_client._SingletonPerEndpoint, "_instances", {})
    yield kept


class Browser:
    """Somebody at a browser: logs in, and presses what a page asks."""

    def __init__(self, web: str) -> None:
        self.web, self.session = web, requests.Session()
        page = self.session.get(f"{web}/login/", timeout=10).text
        self._post(f"{web}/login/", page, username="mara", password=PASSWORD)

    def _post(self, url: str, page: str, **fields: str) -> requests.Response:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None, page
        fields["csrfmiddlewaretoken"] = token[1]
        return self.session.post(url, fields, timeout=10, headers={"Referer": self.web})

    def decide(self, url: str, decision: str, **fields: str) -> requests.Response:
        shown = self.session.get(url, timeout=10)
        assert shown.ok, shown.text
        self.policy = shown.headers["Content-Security-Policy"]
        return self._post(url.split("?")[0] if fields else url, shown.text, decision=decision, **fields)


def _config(address: str, mode: AuthType, **more: Any) -> PlatformConfig:
    return PlatformConfig(endpoint=address, insecure=True, auth_mode=mode, **more)


def _projects(config: PlatformConfig) -> list[str]:
    return [one.id for one in SynchronousFlyteClient(config).list_projects_paginated(limit=5)[0]]


def _opens(monkeypatch: pytest.MonkeyPatch, browser: Browser, decision: str = "allow") -> list[str]:
    opened: list[str] = []

    def open_new_tab(url: str) -> bool:
        opened.append(url)
        threading.Thread(target=browser.decide, args=[url, decision]).start()
        return True

    monkeypatch.setattr("webbrowser.open_new_tab", open_new_tab)
    return opened


def test_by_a_browser_with_pkce(web: str, address: str, monkeypatch: pytest.MonkeyPatch, own_keyring: Any) -> None:
    browser = Browser(web)
    opened = _opens(monkeypatch, browser)
    assert _projects(_config(address, AuthType.PKCE)) == ["demo"]

    assert opened[0].startswith(f"{web}/oauth2/authorize?") and "code_challenge_method=S256" in opened[0]
    assert "form-action 'self' http://localhost:53593;" in browser.policy
    sign_in = SignIn.objects.get()
    assert (sign_in.user.username, sign_in.client, sign_in.scopes) == ("mara", "causeway", [])
    assert AuditEvent.objects.filter(verb="sign_in.begin", actor="mara").count() == 1
    # Another process of the same person finds what the first kept, and no browser opens.
    assert _projects(_config(address, AuthType.PKCE)) == ["demo"]
    assert len(opened) == 1


def test_an_expired_token_is_renewed_without_a_browser(
    web: str, address: str, monkeypatch: pytest.MonkeyPatch, own_keyring: Any
) -> None:
    opened = _opens(monkeypatch, Browser(web))
    config = _config(address, AuthType.PKCE)
    _projects(config)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert _projects(config) == ["demo"]
    assert len(opened) == 1
    assert ApiToken.objects.filter(sign_in__isnull=False).count() == 1  # the old one is gone


def test_a_sign_in_that_was_ended_is_not_renewed(
    web: str, address: str, monkeypatch: pytest.MonkeyPatch, own_keyring: Any
) -> None:
    opened = _opens(monkeypatch, Browser(web))
    config = _config(address, AuthType.PKCE)
    _projects(config)
    sign_ins.end(SignIn.objects.select_related("user").get(), actor="mara")
    auth_client._SingletonPerEndpoint._instances.clear()  # it keeps an answer for a minute
    assert _projects(config) == ["demo"]
    assert len(opened) == 2  # so he is asked again
    assert SignIn.objects.filter(ended_at=None).count() == 1


def test_by_a_code_typed_elsewhere(web: str, address: str, monkeypatch: pytest.MonkeyPatch, own_keyring: Any) -> None:
    browser = Browser(web)
    monkeypatch.setattr(token_client.time, "sleep", lambda _: None)
    asked: list[str] = []

    def pending(line: str, **_: Any) -> None:
        asked.append(line)
        code = DeviceCode.objects.get(approved=None).user_code
        url = f"{web}/oauth2/device?user_code={code.lower().replace('-', ' ')}"
        assert browser.decide(url, "allow", user_code=code).ok

    monkeypatch.setattr("flytekit.clients.auth.authenticator.click.secho", pending)
    assert _projects(_config(address, AuthType.DEVICEFLOW)) == ["demo"]
    assert "user_code=" in asked[0] and f"{web}/oauth2/device" in asked[0]
    assert not DeviceCode.objects.exists()  # good once
    assert SignIn.objects.get().user.username == "mara"


def test_a_code_that_was_refused_logs_nobody_in(
    web: str, address: str, monkeypatch: pytest.MonkeyPatch, own_keyring: Any, caplog: pytest.LogCaptureFixture
) -> None:
    browser = Browser(web)

    def refuse(line: str, **_: Any) -> None:
        code = DeviceCode.objects.get(approved=None).user_code
        browser.decide(f"{web}/oauth2/device?user_code={code}", "deny", user_code=code)

    monkeypatch.setattr("flytekit.clients.auth.authenticator.click.secho", refuse)
    with pytest.raises(FlyteSystemException):
        _projects(_config(address, AuthType.DEVICEFLOW))
    assert '"access_denied"' in caplog.text
    assert not SignIn.objects.exists()
    assert AuditEvent.objects.filter(verb="sign_in.deny", actor="mara").exists()


def test_by_a_client_secret(web: str, address: str, token_of: Callable[..., str]) -> None:
    token = token_of("robot", "viewer")
    config = _config(address, AuthType.CLIENTSECRET, client_id="robot", client_credentials_secret=token)
    assert _projects(config) == ["demo"]
    wrong = _config(address, AuthType.CLIENTSECRET, client_id="robot", client_credentials_secret="cwy_no")  # noqa: S106
    with pytest.raises(FlyteSystemException, match="this token is not valid"):
        _projects(wrong)


def _code(web: str, browser: Browser, **changed: str) -> requests.Response:
    """Asks for a code as a program does, and allows it."""
    asked = {
        "client_id": "causeway",
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "state": "s",
        "code_challenge": auth_client._create_code_challenge("v" * 50),
        "code_challenge_method": "S256",
    } | changed
    url = requests.Request("GET", f"{web}/oauth2/authorize", params=asked).prepare().url
    assert url is not None
    page = browser.session.get(url, timeout=10)
    if not page.ok:
        return page
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None
    form = {"decision": "allow", "csrfmiddlewaretoken": token[1]}
    return browser.session.post(url, form, timeout=10, headers={"Referer": web}, allow_redirects=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example.com/callback"},
        {"redirect_uri": "http://localhost.evil.example.com:53593/callback"},
        {"redirect_uri": "http://localhost:1@evil.example.com:80/"},
        {"redirect_uri": f"{REDIRECT_URI}#here"},
        {"redirect_uri": f"{REDIRECT_URI}?{'a' * 600}"},
        {"client_id": "somebody"},
        {"response_type": "token"},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
    ],
)
def test_nobody_is_sent_elsewhere_and_nothing_goes_without_pkce(web: str, changed: dict[str, str]) -> None:
    answer = _code(web, Browser(web), **changed)
    assert answer.status_code == 400 and "a login that cannot be" in answer.text


def _redeem(web: str, code: str, verifier: str = "v" * 50) -> requests.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "causeway",
        "redirect_uri": REDIRECT_URI,
        "code_verifier": verifier,
    }
    return requests.post(f"{web}/oauth2/token", form, timeout=10)


def test_a_code_is_good_once_and_for_who_knows_its_verifier(web: str) -> None:
    location = _code(web, Browser(web)).headers["Location"]
    assert location.startswith(f"{REDIRECT_URI}?code=") and location.endswith("&state=s")
    code = location.split("code=")[1].split("&")[0]
    assert _redeem(web, code, "w" * 50).json()["error"] == "invalid_grant"
    found = _redeem(web, code)
    assert found.ok and found.headers["Cache-Control"] == "no-store"
    assert found.json()["access_token"].startswith("cwy_") and found.json()["expires_in"] == 3600
    assert _redeem(web, code).json()["error"] == "invalid_grant"


def test_scopes_that_are_asked_for_narrow_the_token(web: str) -> None:
    location = _code(web, Browser(web), scope="read").headers["Location"]
    found = _redeem(web, location.split("code=")[1].split("&")[0]).json()
    assert ApiToken.objects.get(sign_in__isnull=False).scopes == ["read"]
    form = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"], "client_id": "causeway"}
    wider = requests.post(f"{web}/oauth2/token", form | {"scope": "admin"}, timeout=10)
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    assert requests.post(f"{web}/oauth2/token", form, timeout=10).ok
    headers = {"Authorization": f"Bearer {found['refresh_token']}"}
    assert requests.get(f"{web}/api/v1/me", headers=headers, timeout=10).status_code == 401  # it is no token itself


def test_a_scope_that_is_said_often_is_one(web: str) -> None:
    asked = {"client_id": "causeway", "scope": "all read " * 100}
    assert requests.post(f"{web}/oauth2/device_authorization", asked, timeout=10).ok
    assert DeviceCode.objects.get().scope == "all read"
    assert _code(web, Browser(web), scope=asked["scope"]).status_code == 302


def test_a_machine_is_told_to_wait_and_to_ask_seldom(web: str) -> None:
    given = requests.post(f"{web}/oauth2/device_authorization", {"client_id": "causeway"}, timeout=10).json()
    assert given["interval"] == 5 and given["verification_uri"] == f"{web}/oauth2/device"
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": given["device_code"],
        "client_id": "causeway",
    }
    asked = [requests.post(f"{web}/oauth2/token", form, timeout=10).json()["error"] for _ in range(2)]
    assert asked == ["authorization_pending", "slow_down"]
    DeviceCode.objects.update(expires_at=timezone.now())
    assert requests.post(f"{web}/oauth2/token", form, timeout=10).json()["error"] == "expired_token"


def test_codes_cannot_be_guessed(web: str) -> None:
    browser = Browser(web)
    answers = [browser.session.get(f"{web}/oauth2/device?user_code=AAAA-{n:04}", timeout=10) for n in range(21)]
    assert [one.status_code for one in answers] == [404] * 20 + [429]


def test_the_same_is_said_over_http(web: str) -> None:
    found = requests.get(f"{web}/.well-known/oauth-authorization-server", timeout=10).json()
    assert found["token_endpoint"] == f"{web}/oauth2/token"
    assert found["device_authorization_endpoint"] == f"{web}/oauth2/device_authorization"
