"""System checks: settings that are fine on loopback and dangerous on a network; no process starts with them there."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured


def is_loopback(host: str) -> bool:
    """Whether an address or a host's name means this machine itself, for everybody."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@register(Tags.security)
def check_exposure(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Everything that must not be the case when other machines can connect."""
    if is_loopback(settings.CAUSEWAY_BIND):
        return []
    bind = settings.CAUSEWAY_BIND
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(
            Error(f"CAUSEWAY_DEBUG is on while listening on {bind}: it shows settings to strangers", id="causeway.E001")
        )
    if "*" in settings.ALLOWED_HOSTS:
        hint = "name the hosts that people use"
        found.append(Error("CAUSEWAY_ALLOWED_HOSTS allows every host", hint=hint, id="causeway.E003"))
    if all(host in {"localhost", "127.0.0.1", "[::1]"} for host in settings.ALLOWED_HOSTS):
        hint = "set it to the host name people use, and CAUSEWAY_PUBLIC_URL to the address"
        found.append(
            Error(f"CAUSEWAY_ALLOWED_HOSTS is the default while listening on {bind}", hint=hint, id="causeway.E004")
        )
    if len(settings.SECRET_KEY) < 32:
        found.append(Error("CAUSEWAY_SECRET_KEY is shorter than 32 characters", id="causeway.E005"))
    if any(0 < len(key.strip()) < 32 for key in settings.CAUSEWAY_SECRETS_KEY.split(",")):
        found.append(Error("a key in CAUSEWAY_SECRETS_KEY is shorter than 32 characters", id="causeway.E021"))
    return found


@register(Tags.security)
def check_open_grpc(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """Open mode takes everybody who can connect for the admin, so also who comes through a proxy on this machine."""
    if settings.CAUSEWAY_GRPC_AUTH != "open":
        return []
    public = urlsplit(settings.CAUSEWAY_PUBLIC_URL).hostname or ""
    others = {
        f"listening on {settings.CAUSEWAY_BIND}": settings.CAUSEWAY_BIND,
        f"CAUSEWAY_PUBLIC_URL is {settings.CAUSEWAY_PUBLIC_URL}": public,
        **{f"CAUSEWAY_ALLOWED_HOSTS has {host}": host for host in settings.ALLOWED_HOSTS},
    }
    reasons = [reason for reason, host in others.items() if not is_loopback(host)]
    if not reasons:
        return []
    hint = "leave CAUSEWAY_GRPC_AUTH away, or set it to token"
    return [Error(f"gRPC is open while {reasons[0]}: anybody is admin", hint=hint, id="causeway.E002")]


@register()
def check_grpc_auth(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    if settings.CAUSEWAY_GRPC_AUTH in {"open", "token"}:
        return []
    return [
        Error(f"CAUSEWAY_GRPC_AUTH is {settings.CAUSEWAY_GRPC_AUTH!r}, it must be open or token", id="causeway.E006")
    ]


@register(Tags.security)
def check_sign_on(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:
    """What the provider says of people must not be changed on its way."""
    issuer = urlsplit(settings.CAUSEWAY_OIDC_ISSUER)
    if not settings.CAUSEWAY_OIDC_ISSUER or issuer.scheme == "https" or is_loopback(issuer.hostname or ""):
        return []
    return [Error(f"CAUSEWAY_OIDC_ISSUER is {settings.CAUSEWAY_OIDC_ISSUER}: it must be https", id="causeway.E030")]


def refuse_exposure() -> None:
    """For entry points that Django does not check by itself."""
    found = [*check_exposure(), *check_open_grpc(), *check_grpc_auth(), *check_sign_on()]
    if found:
        raise ImproperlyConfigured("; ".join(str(message.msg) for message in found))
