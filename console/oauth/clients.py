"""The one client of everybody's machine. It keeps no secret: its proofs are PKCE and a person's consent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from console.accounts.scopes import SCOPES

CLIENT_ID = "causeway"
# Where flytekit and flytectl listen for the browser, as Flyte's own installations have it.
REDIRECT_URI = "http://localhost:53593/callback"
# What Flyte's clients ask for and means no less than everything.
NO_SCOPES = ("all", "offline", "openid", "profile", "offline_access")
GRANTS = ("authorization_code", "refresh_token", DEVICE_CODE_GRANT_TYPE)
LONGEST_URI = 500  # characters, as a code keeps it (console.accounts.models)
ALL_SCOPES = [*NO_SCOPES, *SCOPES]


class PublicClient(ClientMixin):  # type: ignore[misc] # Authlib ships no types
    """Programs of people: flytekit, flytectl, pyflyte."""

    client_id = CLIENT_ID

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return REDIRECT_URI

    def get_allowed_scope(self, scope: str | None) -> str:
        """Those that there are, each once: what is kept of a request has bounds, however long that was."""
        return " ".join(dict.fromkeys(one for one in (scope or "").split() if one in ALL_SCOPES))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """The browser's own machine, any port (RFC 8252, 7.3): a code is sent nowhere else. Never with a fragment
        (RFC 6749, 3.1.2), to which a browser would add the code.
        """
        if len(redirect_uri) > LONGEST_URI or "#" in redirect_uri:
            return False
        try:
            parts = urlsplit(redirect_uri)
            port = parts.port
        except ValueError:
            return False
        host = parts.hostname or ""
        return parts.scheme == "http" and bool(port) and not parts.username and (host == "localhost" or _loops(host))

    def check_client_secret(self, client_secret: str) -> bool:
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in GRANTS


def _loops(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
