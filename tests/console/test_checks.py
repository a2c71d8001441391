"""Settings that are fine on loopback and refused on a network."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from console.checks import check_exposure, check_open_grpc, check_sign_on, refuse_exposure

SAFE = {"DEBUG": False, "CAUSEWAY_GRPC_AUTH": "token", "ALLOWED_HOSTS": ["causeway.example"], "SECRET_KEY": "s" * 50}


def found(settings: Settings, **over: object) -> set[str]:
    for name, value in {"CAUSEWAY_BIND": "0.0.0.0", **SAFE, **over}.items():  # noqa: S104
        setattr(settings, name, value)
    return {str(message.id) for message in (*check_exposure(), *check_open_grpc(), *check_sign_on())}


def test_it_allows_the_defaults_on_loopback(settings: Settings) -> None:
    for bind in ("127.0.0.1", "::1", "localhost"):
        assert found(settings, CAUSEWAY_BIND=bind, DEBUG=True, ALLOWED_HOSTS=["*"]) == set()
        local = {"ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"], "CAUSEWAY_PUBLIC_URL": "http://localhost:8000"}
        assert found(settings, CAUSEWAY_BIND=bind, CAUSEWAY_GRPC_AUTH="open", **local) == set()


@pytest.mark.parametrize(
    "over",
    [
        {"CAUSEWAY_BIND": "192.0.2.7"},
        {"CAUSEWAY_PUBLIC_URL": "https://causeway.example"},
        {"ALLOWED_HOSTS": ["localhost", "causeway.example"]},
        {"ALLOWED_HOSTS": ["*"]},
    ],
)
def test_it_refuses_open_grpc_wherever_others_may_come_in(settings: Settings, over: dict[str, object]) -> None:
    """A proxy on this machine lets others in although Causeway itself listens on loopback only."""
    local = {
        "CAUSEWAY_BIND": "127.0.0.1",
        "ALLOWED_HOSTS": ["localhost"],
        "CAUSEWAY_PUBLIC_URL": "http://localhost:8000",
    }
    assert "causeway.E002" in found(settings, **{**local, "CAUSEWAY_GRPC_AUTH": "open", **over})
    with pytest.raises(ImproperlyConfigured, match="anybody is admin"):
        refuse_exposure()


def test_it_allows_safe_settings_on_a_network(settings: Settings) -> None:
    assert found(settings) == set()
    assert found(settings, CAUSEWAY_OIDC_ISSUER="https://sso.example") == set()
    assert found(settings, CAUSEWAY_OIDC_ISSUER="http://localhost:9400") == set()


@pytest.mark.parametrize(
    ("over", "id_"),
    [
        ({"DEBUG": True}, "causeway.E001"),
        ({"CAUSEWAY_GRPC_AUTH": "open"}, "causeway.E002"),
        ({"ALLOWED_HOSTS": ["*"]}, "causeway.E003"),
        ({"ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, "causeway.E004"),
        ({"SECRET_KEY": "short"}, "causeway.E005"),
        ({"CAUSEWAY_SECRETS_KEY": "k" * 32 + ",short"}, "causeway.E021"),
        ({"CAUSEWAY_OIDC_ISSUER": "http://sso.example"}, "causeway.E030"),
    ],
)
def test_it_names_each_unsafe_setting(settings: Settings, over: dict[str, object], id_: str) -> None:
    assert found(settings, **over) == {id_}


def test_it_keeps_the_web_process_from_starting(settings: Settings) -> None:
    found(settings, CAUSEWAY_GRPC_AUTH="open")
    with pytest.raises(ImproperlyConfigured, match="anybody is admin"):
        refuse_exposure()
