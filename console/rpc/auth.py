"""AuthMetadataService: how to authenticate, told to everybody.

flytekit asks when a call came back UNAUTHENTICATED. With `auth_mode: externalcommand` it then sends what the command
prints as bearer token; with `clientcredentials` it posts the id and secret to the token endpoint.
"""

from __future__ import annotations

from django.conf import settings
from flyteidl.service import auth_pb2

TOKEN_HEADER = "authorization"  # noqa: S105 - the name of a header


def get_oauth2_metadata(request: auth_pb2.OAuth2MetadataRequest) -> auth_pb2.OAuth2MetadataResponse:
    root = settings.CAUSEWAY_PUBLIC_URL
    return auth_pb2.OAuth2MetadataResponse(
        issuer=root,
        token_endpoint=f"{root}/oauth2/token",
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        grant_types_supported=["client_credentials"],
        response_types_supported=["token"],
        scopes_supported=["all"],
    )


def get_public_client_config(
    request: auth_pb2.PublicClientAuthConfigRequest,
) -> auth_pb2.PublicClientAuthConfigResponse:
    return auth_pb2.PublicClientAuthConfigResponse(
        client_id="causeway",
        authorization_metadata_key=TOKEN_HEADER,
        service_http_endpoint=settings.CAUSEWAY_PUBLIC_URL,
    )
