from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from artifacts.exceptions import Unauthenticated
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.fair import callers

# flytekit's own name for the header, used when a client does not ask GetPublicClientConfig first.
_TOKEN_KEYS = ("authorization", "flyte-authorization")


@dataclass(frozen=True)
class Caller:
    """Who makes a call. Every served method asks `may` before it does anything."""

    user: User

    @property
    def name(self) -> str:
        return self.user.get_username()

    def may(self, action: Action, project: str = "", domain: str = "") -> None:
        """Raises PermissionDenied."""
        access.require(self.user, action, project, domain)


def carries_token(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    return any(key.lower() in _TOKEN_KEYS for key, _ in metadata)


def authenticate(metadata: Iterable[tuple[str, str | bytes]], address: str = "") -> Caller:
    """The caller a request's metadata names: a bearer token, or in open mode nobody, which is the local admin.

    Raises Unauthenticated, and TooManyAttempts where too many bad tokens came from the address. A bad token is never
    taken for an absent one.
    """
    for key, value in metadata:
        if key.lower() in _TOKEN_KEYS:
            text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
            scheme, _, secret = text.partition(" ")
            if scheme.lower() != "bearer" or not secret.strip():
                raise Unauthenticated("the authorization metadata must be: Bearer <token>")
            user = access.authenticate_token(secret.strip(), address=address)
            callers.remember(secret.strip(), user.pk or user.get_username())
            return Caller(user)
    if settings.CAUSEWAY_GRPC_AUTH == "open":
        return Caller(access.local_admin())
    raise Unauthenticated("send an API token in the metadata: authorization: Bearer <token>")
