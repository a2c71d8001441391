"""Whoever guesses is slowed down, and keeps nobody else out for good."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from console.accounts import login_links, throttle, tokens
from console.accounts.models import Attempts, User
from console.redaction import redact

pytestmark = pytest.mark.django_db
RIGHT = "seven quiet herons"


@pytest.fixture(autouse=True)
def cheap_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann(cheap_passwords: None) -> User:
    return User.objects.create_user("ann", password=RIGHT, is_staff=True, is_superuser=True)


def log_in(password: str, address: str = "192.0.2.1", name: str = "ann", path: str = "/login/") -> int:
    return Client(REMOTE_ADDR=address).post(path, {"username": name, "password": password}).status_code


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_a_password_is_guessed_ten_times(ann: User, path: str) -> None:
    for _ in range(throttle.PASSWORD.most):
        assert log_in("guess", path=path) == 200
    response = Client(REMOTE_ADDR="192.0.2.1").post(path, {"username": "ann", "password": RIGHT})
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= throttle.PASSWORD.seconds + 1
    assert b"try again in" in response.content
    assert log_in(RIGHT, "198.51.100.9", path=path) == 302, "others are not kept out"
    Attempts.objects.update(until=timezone.now())
    assert log_in(RIGHT, path=path) == 302, "nor is the address, once the window is over"


def test_tries_while_kept_out_do_not_lengthen_the_window(ann: User) -> None:
    for _ in range(throttle.PASSWORD.most):
        log_in("guess")
    until = set(Attempts.objects.values_list("key", "until"))
    assert [log_in("guess") for _ in range(5)] == [429] * 5
    assert set(Attempts.objects.values_list("key", "until")) == until


def test_the_right_password_clears_what_was_mistyped(ann: User) -> None:
    for _ in range(3):
        for _ in range(throttle.PASSWORD.most - 1):
            log_in("guess")
        assert log_in(RIGHT) == 302


def test_one_address_tries_few_accounts(ann: User) -> None:
    for number in range(throttle.ADDRESS.most):
        assert log_in("guess", name=f"user-{number}") == 200
    assert log_in(RIGHT) == 429


def test_many_addresses_cannot_keep_a_person_out_of_where_he_was(ann: User) -> None:
    assert log_in(RIGHT, "203.0.113.5") == 302
    for number in range(throttle.ACCOUNT.most):
        log_in("guess", f"198.51.100.{number}")
    assert log_in("guess", "192.0.2.77") == 429
    assert log_in(RIGHT, "203.0.113.5") == 302


def test_all_of_an_ipv6_network_is_one_address() -> None:
    assert (
        throttle.network("2001:db8::1:2") == throttle.network("2001:db8::ffff") != throttle.network("2001:db8:0:1::1")
    )
    assert throttle.network("192.0.2.1") != throttle.network("192.0.2.2")


def test_wrong_tokens_are_counted_and_right_ones_pass(ann: User) -> None:
    secret = tokens.create(ann, "ci")[1]
    client = Client(REMOTE_ADDR="192.0.2.1")

    def ask(token: str) -> int:
        return client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code

    assert {ask(f"cwy_{number}") for number in range(throttle.TOKEN.most)} == {401}
    answer = client.post("/api/v1/tokens", {}, headers={"Authorization": "Bearer cwy_more"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "RESOURCE_EXHAUSTED"
    assert ask(secret) == 200


def test_login_links_are_guessed_in_vain(ann: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.1")
    for number in range(throttle.LINK.most):
        assert client.get(f"/login/link/{number}").status_code == 302
    assert client.get("/login/link/more").status_code == 429
    path = login_links.create(ann).removeprefix("http://localhost:8000")
    assert client.get(path).headers["Location"] == "/", "a right one is not kept out"


def test_what_is_over_is_forgotten(ann: User) -> None:
    log_in("guess")
    Attempts.objects.update(until=timezone.now() - timedelta(days=2))
    log_in("guess", "198.51.100.1", "bob")
    assert Attempts.objects.filter(until__lt=timezone.now()).count() == 0


@pytest.mark.parametrize(
    "weak",
    [
        "short",
        "password",
        "12345678",
        "elevenchars",
        "123456789012",
        "aaaaaaaaaaaa",
        "passwordpassword",
        "annannannann",
    ],
)
def test_weak_passwords_are_refused_everywhere(ann: User, weak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        validate_password(weak, ann)
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", weak)
    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD"):
        call_command("createsuperuser", interactive=False, username="root", email="root@example.com")
    assert not User.objects.filter(username="root").exists()
    admin = Client()
    admin.force_login(ann)
    form = {"username": "new", "password1": weak, "password2": weak, "usable_password": "true"}
    assert admin.post("/admin/accounts/user/add/", form).status_code == 200
    assert not User.objects.filter(username="new").exists()
    change = {"old_password": RIGHT, "new_password1": weak, "new_password2": weak}
    assert admin.post("/admin/password_change/", change).status_code == 200
    assert User.objects.get(pk=ann.pk).check_password(RIGHT)


def test_a_good_password_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", RIGHT)
    call_command("createsuperuser", interactive=False, username="root", email="root@example.com")
    assert User.objects.get(username="root").check_password(RIGHT)


def test_no_log_has_a_secret(ann: User, caplog: pytest.LogCaptureFixture) -> None:
    link = login_links.create(ann)
    path = link.removeprefix("http://localhost:8000")
    with caplog.at_level(logging.DEBUG):
        Client().head(path)
        Client().get(path, headers={"sec-purpose": "prefetch"})
    assert caplog.records, "Django says that these failed"
    handler = logging.getLogger().handlers
    formatter = next(each.formatter for each in handler if type(each.formatter).__module__ == "console.redaction")
    assert formatter is not None
    secret = link.rpartition("/")[2]
    for record in caplog.records:
        assert secret not in formatter.format(record)
    assert Client().get(path).headers["Location"] == "/", "looked at, it is not used up"


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("Service Unavailable: /login/link/Ord65EJVUP7BiYagvTkWSLkz-E9XO1Pwt8UMlCuinAU", "/login/link/[redacted]"),
        ("GET /login/link/abc?next=/x", "/login/link/[redacted]?next=/x"),
        ("Forbidden: /objects/eyJhbGci.OiJI:UzI1NiJ9:x_y-z", "/objects/[redacted]"),
        ("a token cwy_AbC-d_e of", "a token cwy_[redacted] of"),
        ("cwt_MTIz:1xXH2A:abc", "cwt_[redacted]"),
        ("Authorization: Bearer abc.def", "Bearer [redacted]"),
        ("objects/p/d/some/path", "objects/p/d/some/path"),
    ],
)
def test_secrets_are_known_by_their_looks(said: str, logged: str) -> None:
    assert logged in redact(said)
    assert redact(logged) == logged


@pytest.mark.parametrize("public", ["https://causeway.example", "http://localhost:8000"])
def test_tls_makes_cookies_secure(public: str, settings: Settings, ann: User) -> None:
    tls = public.startswith("https")
    settings.CAUSEWAY_PUBLIC_URL, settings.CAUSEWAY_TLS, settings.SECURE_HSTS_SECONDS = public, tls, 3600 if tls else 0
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = tls
    settings.ALLOWED_HOSTS = ["causeway.example", "localhost"]
    host = public.partition("://")[2]
    response = Client(REMOTE_ADDR="192.0.2.1").post("/login/", {"username": "ann", "password": RIGHT}, HTTP_HOST=host)
    assert response.status_code == 302
    assert bool(response.cookies["sessionid"]["secure"]) is tls
    assert response.headers.get("Strict-Transport-Security") == ("max-age=3600" if tls else None)


def test_one_changes_ones_own_password(ann: User) -> None:
    browser, elsewhere = Client(), Client()
    browser.force_login(ann)
    elsewhere.force_login(ann)
    other = "forty-two green kettles"
    weak = {"old_password": RIGHT, "new_password1": "password", "new_password2": "password"}
    assert browser.post("/password/", weak).status_code == 200
    assert browser.post("/password/", {**weak, "old_password": "guess"}).status_code == 200
    assert User.objects.get(pk=ann.pk).check_password(RIGHT)
    good = {"old_password": RIGHT, "new_password1": other, "new_password2": other}
    assert browser.post("/password/", good).status_code == 302
    assert User.objects.get(pk=ann.pk).check_password(other)
    assert browser.get("/tokens/").status_code == 200
    assert elsewhere.get("/tokens/").status_code == 302


def test_the_old_password_is_not_guessed_in_a_session_left_open(ann: User) -> None:
    browser = Client()
    browser.force_login(ann)
    form = {"old_password": "guess", "new_password1": "a" * 20, "new_password2": "a" * 20}
    for _ in range(throttle.PASSWORD.most):
        assert browser.post("/password/", form).status_code == 200
    assert browser.post("/password/", form).status_code == 429


def test_whoever_got_in_by_a_link_sets_the_first_one(ann: User) -> None:
    ann.set_unusable_password()
    ann.save()
    browser = Client()
    browser.force_login(ann)
    assert browser.post("/password/", {"new_password1": RIGHT, "new_password2": RIGHT}).status_code == 302
    assert User.objects.get(pk=ann.pk).check_password(RIGHT)


def test_few_passwords_are_proved_at_a_time(ann: User) -> None:
    """Each costs a second of a core: a flood of them must leave threads and cores to the others."""
    held = [throttle.password_attempt(f"user-{number}", "192.0.2.1") for number in range(2)]
    for attempt in held:
        attempt.__enter__()
    for _ in range(4):
        assert throttle._waiting.acquire(blocking=False)
    counted = set(Attempts.objects.values_list("key", "count"))
    assert log_in(RIGHT) == 429
    assert set(Attempts.objects.values_list("key", "count")) == counted, "who only came at a bad moment is not counted"
    for _ in range(4):
        throttle._waiting.release()
    for attempt in held:
        attempt.__exit__(None, None, None)
    assert log_in(RIGHT) == 302
