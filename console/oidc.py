"""Single sign-on: Causeway as a client of an OpenID Connect provider. The protocol is Authlib's, which is
imported where it is used: most installations have no provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from artifacts.exceptions import FailedPrecondition, Unauthenticated
from console.accounts.sign_on import Person

SECONDS = 10  # for each request to the provider
SCOPES = "openid profile email"


def is_set() -> bool:
    return bool(settings.CAUSEWAY_OIDC_ISSUER and settings.CAUSEWAY_OIDC_CLIENT_ID)


def start(request: HttpRequest) -> str:
    """The address at the provider; state, nonce and PKCE's verifier are kept in the session.

    Raises FailedPrecondition where it does not answer.
    """
    import requests  # noqa: PLC0415 - see above
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415

    try:
        return str(_client().authorize_redirect(request, _callback()).headers["Location"])
    except (requests.RequestException, OAuthError, ValueError) as error:
        raise FailedPrecondition(f"the provider of single sign-on does not answer: {error}") from error


def end(id_token: str) -> str:
    """The address at the provider that ends the session there as well (OpenID Connect RP-Initiated Logout 1.0), and
    leads back to the login page; empty where it has none or does not answer.
    """
    import requests  # noqa: PLC0415 - see above
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415

    try:
        there = _client().load_server_metadata().get("end_session_endpoint")
    except (requests.RequestException, OAuthError, ValueError):
        return ""
    back = f"{settings.CAUSEWAY_PUBLIC_URL}{reverse('login')}"
    asked = {"id_token_hint": id_token, "client_id": settings.CAUSEWAY_OIDC_CLIENT_ID, "post_logout_redirect_uri": back}
    return f"{there}{'&' if '?' in there else '?'}{urlencode(asked)}" if there else ""


def finish(request: HttpRequest) -> tuple[Person, str]:
    """Whom the provider sent back, and the ID token that says so. Raises Unauthenticated for one whom it did not prove,
    FailedPrecondition.
    """
    import requests  # noqa: PLC0415 - see above
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415

    client = _client()
    if client.framework.get_state_data(request.session, request.GET.get("state", "")) is None:
        # Before anything is read of the address: nobody's words but the provider's are shown.
        raise Unauthenticated("single sign-on failed: it was not begun in this browser, or an hour ago; begin again")
    try:
        token = client.authorize_access_token(request, timeout=SECONDS)
        claims = dict(token.get("userinfo") or {})
        if claims and client.load_server_metadata().get("userinfo_endpoint"):
            more = dict(client.userinfo(token=token))
            claims |= more if more.get("sub") == claims["sub"] else {}
    except requests.RequestException as error:
        raise FailedPrecondition(f"the provider of single sign-on does not answer: {error}") from error
    except (OAuthError, JoseError, ValueError, KeyError) as error:
        raise Unauthenticated(f"single sign-on failed: {error}") from error
    if not claims.get("sub"):
        raise Unauthenticated("single sign-on failed: the provider sent no ID token")
    return _person(claims), str(token["id_token"])


def _person(claims: Mapping[str, Any]) -> Person:
    return Person(
        issuer=settings.CAUSEWAY_OIDC_ISSUER,
        subject=str(claims["sub"])[:255],
        name=str(claims.get(settings.CAUSEWAY_OIDC_USERNAME) or ""),
        email=str(claims.get("email") or ""),
        first_name=str(claims.get("given_name") or ""),
        last_name=str(claims.get("family_name") or ""),
        groups=_groups(claims),
    )


def _groups(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """No such claim: of none. Many providers leave it out for who is in no group any more (Okta, Entra). None: there
    are more than the provider sends, as it says by `_claim_names` (OpenID Connect Core, 5.6.2) or Entra's `hasgroups`.
    """
    name = settings.CAUSEWAY_OIDC_GROUPS
    told = claims.get(name)
    elsewhere = claims.get("_claim_names")
    if told is None and (claims.get("hasgroups") or (isinstance(elsewhere, dict) and name in elsewhere)):
        return None
    listed = told if isinstance(told, list) else [told] if isinstance(told, str) else []
    return frozenset(str(one) for one in listed)


def _callback() -> str:
    return f"{settings.CAUSEWAY_PUBLIC_URL}{reverse('oidc-callback')}"


def _client() -> Any:
    return _registered(
        settings.CAUSEWAY_OIDC_ISSUER, settings.CAUSEWAY_OIDC_CLIENT_ID, settings.CAUSEWAY_OIDC_CLIENT_SECRET
    )


@cache
def _registered(issuer: str, client_id: str, client_secret: str) -> Any:
    """Made once for each process: it keeps what the provider says of itself, and its keys."""
    from authlib.integrations.django_client import OAuth  # noqa: PLC0415 - see above

    return OAuth().register(
        name="sign_on",
        client_id=client_id,
        client_secret=client_secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": f"{SCOPES} {settings.CAUSEWAY_OIDC_SCOPES}".strip(),
            "code_challenge_method": "S256",
            "timeout": SECONDS,
        },
    )
