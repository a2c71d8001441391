"""The endpoints that AuthMetadataService names: tokens, device codes, and the same facts as JSON.

`client_credentials`: the client secret is an API token, of a service account for instance; it comes back as the access
token once it proved valid, and nothing is stored. The other grants end at a sign-in (console.accounts.sign_ins).
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_plus

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import Unauthenticated
from console.accounts import access, throttle
from console.accounts.throttle import TooManyAttempts
from console.oauth.clients import ALL_SCOPES, GRANTS
from console.oauth.server import DeviceEndpoint, server

EXPIRES_SECONDS = 3600  # after which flytekit asks again; the API token itself lives as long as it was made for


def metadata() -> dict[str, str | list[str]]:
    """As RFC 8414 has it, and OAuth2MetadataResponse."""
    root = settings.CAUSEWAY_PUBLIC_URL
    return {
        "issuer": root,
        "authorization_endpoint": f"{root}/oauth2/authorize",
        "token_endpoint": f"{root}/oauth2/token",
        "device_authorization_endpoint": f"{root}/oauth2/device_authorization",
        "response_types_supported": ["code"],
        "scopes_supported": list(ALL_SCOPES),
        "grant_types_supported": ["client_credentials", *GRANTS],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "code_challenge_methods_supported": ["S256"],
    }


@require_GET
def show_metadata(request: HttpRequest) -> JsonResponse:
    return JsonResponse(metadata())


@csrf_exempt  # no cookie is looked at: the credentials come in the request
@require_POST
def issue_token(request: HttpRequest) -> HttpResponse:
    if request.POST.get("grant_type") == "client_credentials":
        return _by_secret(request)
    try:
        with transaction.atomic():  # codes are locked until they are used up
            response: HttpResponse = server.create_token_response(request)
        if response.status_code != 200 and b'"invalid_grant"' in response.content:
            throttle.count(throttle.TOKEN, throttle.address_of(request))
    except TooManyAttempts as error:
        return _too_many(error)
    response["Cache-Control"] = "no-store"
    return response


@csrf_exempt  # likewise
@require_POST
def authorize_device(request: HttpRequest) -> HttpResponse:
    try:
        response: HttpResponse = server.create_endpoint_response(DeviceEndpoint.ENDPOINT_NAME, request)
    except TooManyAttempts as error:
        return _too_many(error)
    return response


def _by_secret(request: HttpRequest) -> JsonResponse:
    secret = _client_secret(request.headers.get("Authorization", ""))
    try:
        access.authenticate_token(secret, address=throttle.address_of(request))
    except Unauthenticated as error:
        return JsonResponse({"error": "invalid_client", "error_description": error.message}, status=401)
    except TooManyAttempts as error:
        return _too_many(error)
    answer = JsonResponse({"access_token": secret, "token_type": "Bearer", "expires_in": EXPIRES_SECONDS})
    answer["Cache-Control"] = "no-store"
    return answer


def _too_many(error: TooManyAttempts) -> JsonResponse:
    refused = {"error": "invalid_client", "error_description": error.message}
    return JsonResponse(refused, status=429, headers={"Retry-After": str(error.retry_after)})


def _client_secret(header: str) -> str:
    """The password of a Basic authorization, as RFC 6749 encodes it; empty when there is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return unquote_plus(decoded.partition(":")[2])
