"""Settings that are fine on loopback and refused on a network."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from console.checks import check_exposure, refuse_exposure

SAFE = {"DEBUG": False, "CAUSEWAY_GRPC_AUTH": "token", "ALLOWED_HOSTS": ["causeway.example"], "SECRET_KEY": "s" * 50}


def found(settings: Settings, **over: object) -> set[str]:
    for name, value in {"CAUSEWAY_BIND": "0.0.0.0", **SAFE, **over}.items():  # noqa: S104
        setattr(settings, name, value)
    return {str(message.id) for message in check_exposure()}


def test_it_allows_the_defaults_on_loopback(settings: Settings) -> None:
    for bind in ("127.0.0.1", "::1", "localhost"):
        assert found(settings, CAUSEWAY_BIND=bind, DEBUG=True, CAUSEWAY_GRPC_AUTH="open", ALLOWED_HOSTS=["*"]) == set()


def test_it_allows_safe_settings_on_a_network(settings: Settings) -> None:
    assert found(settings) == set()


@pytest.mark.parametrize(
    ("over", "id_"),
    [
        ({"DEBUG": True}, "causeway.E001"),
        ({"CAUSEWAY_GRPC_AUTH": "open"}, "causeway.E002"),
        ({"ALLOWED_HOSTS": ["*"]}, "causeway.E003"),
        ({"ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, "causeway.E004"),
        ({"SECRET_KEY": "short"}, "causeway.E005"),
        ({"CAUSEWAY_SECRETS_KEY": "k" * 32 + ",short"}, "causeway.E021"),
    ],
)
def test_it_names_each_unsafe_setting(settings: Settings, over: dict[str, object], id_: str) -> None:
    assert found(settings, **over) == {id_}


def test_it_keeps_the_web_process_from_starting(settings: Settings) -> None:
    found(settings, CAUSEWAY_GRPC_AUTH="open")
    with pytest.raises(ImproperlyConfigured, match="anybody is admin"):
        refuse_exposure()
