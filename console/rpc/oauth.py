"""The token endpoint that AuthMetadataService names, for flytekit's `auth_mode: clientcredentials`.

The client secret is an API token; it comes back as the access token once it proved valid. Nothing is stored.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_plus

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from artifacts.exceptions import Unauthenticated
from console.accounts import access, throttle
from console.accounts.throttle import TooManyAttempts

EXPIRES_SECONDS = 3600  # after which flytekit asks again; the API token itself lives as long as it was made for


@csrf_exempt  # no cookie is looked at: the credentials come in the request
@require_POST
def issue_token(request: HttpRequest) -> JsonResponse:
    if request.POST.get("grant_type") != "client_credentials":
        return JsonResponse({"error": "unsupported_grant_type"}, status=400)
    secret = _client_secret(request.headers.get("Authorization", ""))
    try:
        access.authenticate_token(secret, address=throttle.address_of(request))
    except Unauthenticated as error:
        return JsonResponse({"error": "invalid_client", "error_description": error.message}, status=401)
    except TooManyAttempts as error:
        headers = {"Retry-After": str(error.retry_after)}
        refused = {"error": "invalid_client", "error_description": error.message}
        return JsonResponse(refused, status=429, headers=headers)
    answer = JsonResponse({"access_token": secret, "token_type": "Bearer", "expires_in": EXPIRES_SECONDS})
    answer["Cache-Control"] = "no-store"
    return answer


def _client_secret(header: str) -> str:
    """The password of a Basic authorization, as RFC 6749 encodes it; empty when there is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return unquote_plus(decoded.partition(":")[2])
