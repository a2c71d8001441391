"""The authorization server: grants of Authlib over Causeway's rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authlib.integrations.django_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.errors import InvalidScopeError
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from console.accounts import sign_ins, throttle, tokens
from console.accounts.models import AuthorizationCode, DeviceCode, SignIn, User
from console.accounts.sign_ins import Program
from console.oauth.clients import ALL_SCOPES, CLIENT_ID, PublicClient

CODE_LASTS = timedelta(minutes=1)
POLL_SECONDS = 5  # a program that waits for a device code asks so often
DEVICE_SECONDS = 600


class Server(AuthorizationServer):  # type: ignore[misc] # Authlib ships no types
    def __init__(self) -> None:
        super().__init__(client_model=None, token_model=SignIn)
        self.scopes_supported = ALL_SCOPES

    def query_client(self, client_id: str) -> PublicClient | None:
        return PublicClient() if client_id == CLIENT_ID else None

    def create_bearer_token_generator(self) -> BearerTokenGenerator:
        return BearerTokenGenerator(
            access_token_generator=lambda **_: sign_ins.new_token(),
            refresh_token_generator=lambda **_: sign_ins.new_refresh_token(),
            expires_generator=lambda client, grant_type: int(sign_ins.TOKEN_LASTS.total_seconds()),
        )

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        renewed = getattr(request, "refresh_token", None)
        if isinstance(renewed, SignIn):
            narrower = sign_ins.scopes_of(request.payload.scope or "")
            sign_ins.renew(renewed, token=token["access_token"], scopes=narrower)
            return
        scopes = sign_ins.scopes_of(token.get("scope") or "")
        program = Program(request.client.client_id, throttle.address_of(request._request), scopes)
        sign_ins.begin(request.user, program, token=token["access_token"], refresh_token=token["refresh_token"])


class S256Only(CodeChallenge):  # type: ignore[misc]
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"


class ByBrowser(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code: str, request: Any) -> None:
        given = request.payload.data
        AuthorizationCode.objects.filter(expires_at__lt=timezone.now()).delete()
        AuthorizationCode.objects.create(
            digest=tokens.digest(code),
            user=request.user,
            client=request.client.client_id,
            redirect_uri=request.payload.redirect_uri or "",
            scope=request.client.get_allowed_scope(request.payload.scope),
            code_challenge=given.get("code_challenge", ""),
            code_challenge_method=given.get("code_challenge_method") or "S256",
            expires_at=timezone.now() + CODE_LASTS,
        )

    def query_authorization_code(self, code: str, client: PublicClient) -> AuthorizationCode | None:
        """Locked: of two that come with the same code the second finds none."""
        rows = AuthorizationCode.objects.select_for_update(of=("self",)).select_related("user")
        good = rows.filter(client=client.client_id, expires_at__gt=timezone.now())
        return good.filter(digest=tokens.digest(code)).first()

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        authorization_code.delete()

    def authenticate_user(self, authorization_code: AuthorizationCode) -> User | None:
        return authorization_code.user if authorization_code.user.is_active else None


class Again(grants.RefreshTokenGrant):  # type: ignore[misc]
    """The refresh token stays: parallel processes of one person share it, and each may renew."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    INCLUDE_NEW_REFRESH_TOKEN = False

    def authenticate_refresh_token(self, refresh_token: str) -> SignIn | None:
        return sign_ins.found(refresh_token)

    def _validate_token_scope(self, token: SignIn) -> None:
        """No more than it was given. What means everything is asked for again by flytekit each time."""
        asked = set(sign_ins.scopes_of(self.request.payload.scope or ""))
        if token.scopes and not asked <= set(token.scopes):
            raise InvalidScopeError()

    def authenticate_user(self, refresh_token: SignIn) -> User:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: SignIn) -> None:
        """Tokens of the last hour work until they expire: another process may be at it."""


class ByDevice(DeviceCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def query_device_credential(self, device_code: str) -> DeviceCode | None:
        rows = DeviceCode.objects.select_for_update(of=("self",))
        return rows.filter(digest=tokens.digest(device_code)).first()

    def query_user_grant(self, user_code: str) -> tuple[User, bool] | None:
        row = DeviceCode.objects.select_related("user").get(user_code=user_code)
        if row.user is None or row.approved is None:
            return None
        return row.user, row.approved and row.user.is_active

    def should_slow_down(self, credential: DeviceCode) -> bool:
        now, before = timezone.now(), credential.asked_at
        DeviceCode.objects.filter(pk=credential.pk).update(asked_at=now)
        return before is not None and now - before < timedelta(seconds=POLL_SECONDS - 1)

    def save_token(self, token: dict[str, Any]) -> None:
        super().save_token(token)
        self.request.credential.delete()  # good once


class DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ("none",)
    EXPIRES_IN = DEVICE_SECONDS
    INTERVAL = POLL_SECONDS

    def create_endpoint_response(self, request: Any) -> Any:
        self._address = throttle.address_of(request._request)
        throttle.count(throttle.DEVICE, self._address)
        return super().create_endpoint_response(request)

    def get_verification_uri(self) -> str:
        return f"{settings.CAUSEWAY_PUBLIC_URL}/oauth2/device"

    def save_device_credential(self, client_id: str, scope: str | None, data: dict[str, Any]) -> None:
        now = timezone.now()
        DeviceCode.objects.filter(expires_at__lt=now).delete()
        DeviceCode.objects.create(
            digest=tokens.digest(data["device_code"]),
            user_code=data["user_code"],
            client=client_id,
            scope=PublicClient().get_allowed_scope(scope),
            address=self._address[:64],
            expires_at=now + timedelta(seconds=DEVICE_SECONDS),
        )


def make() -> Server:
    server = Server()
    server.register_grant(ByBrowser, [S256Only(required=True)])
    server.register_grant(Again)
    server.register_grant(ByDevice)
    server.register_endpoint(DeviceEndpoint)
    return server


server = make()


def of_request(request: HttpRequest) -> Any:
    """A request as Authlib reads it."""
    return server.create_oauth2_request(request)
