"""AuthMetadataService: how to authenticate, told to everybody.

flytekit asks when a call came back UNAUTHENTICATED. By its `auth_mode` it then opens a browser (`Pkce`), shows a code
to type elsewhere (`DeviceFlow`), posts an id and secret to the token endpoint (`ClientSecret`), or sends what a command
prints (`ExternalCommand`).
"""

from __future__ import annotations

from django.conf import settings
from flyteidl.service import auth_pb2

from console.oauth import clients, views

TOKEN_HEADER = "authorization"  # noqa: S105 - the name of a header


def get_oauth2_metadata(request: auth_pb2.OAuth2MetadataRequest) -> auth_pb2.OAuth2MetadataResponse:
    return auth_pb2.OAuth2MetadataResponse(**views.metadata())  # type: ignore[arg-type] # the same names as in RFC 8414


def get_public_client_config(
    request: auth_pb2.PublicClientAuthConfigRequest,
) -> auth_pb2.PublicClientAuthConfigResponse:
    return auth_pb2.PublicClientAuthConfigResponse(
        client_id=clients.CLIENT_ID,
        redirect_uri=clients.REDIRECT_URI,
        scopes=["all"],
        authorization_metadata_key=TOKEN_HEADER,
        service_http_endpoint=settings.CAUSEWAY_PUBLIC_URL,
    )
