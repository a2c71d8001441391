from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from artifacts.exceptions import Unauthenticated
from console.accounts import access, throttle
from console.accounts.models import User
from console.fair import callers


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer cwy_...`. Without that header the next authenticator (the console's session) is asked."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("the Authorization header must read: Bearer <token>")
        user = access.authenticate_token(secret.strip(), address=throttle.address_of(request))
        callers.remember(secret.strip(), user.pk or user.get_username())
        return user, "token"

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token: `cwy_...`"}
