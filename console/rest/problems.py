"""Every error of the API as problem details (RFC 9457): type, title, status, detail, code, and `errors` for fields.

`code` is the gRPC status name of the same error, so that one program can use both doors.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.db import DataError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from artifacts.exceptions import UNKEEPABLE, CausewayError, Unauthenticated, told
from console.accounts import refusals

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ALREADY_EXISTS",
    411: "INVALID_ARGUMENT",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
}


def problem(
    status: int, detail: str, *, code: str = "", errors: list[dict[str, str]] | None = None, context: object = None
) -> dict[str, object]:
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code or _CODES.get(status, "INTERNAL"),
    }
    if errors:
        body["errors"] = errors
    if context is not None:
        body["context"] = context
    return body


def handler(error: Exception, context: dict[str, object]) -> Response:
    """DRF's exception handler: whatever is raised in a view becomes a problem, unknown errors a 500 without details."""
    set_rollback()
    error = told(error)
    headers: dict[str, str] = {}
    if isinstance(error, CausewayError):
        _note_refusal(error, context)
        body = problem(error.http_status, error.message, code=error.grpc_status, context=error.detail)
        if isinstance(error, Unauthenticated):
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, exceptions.ValidationError):
        errors = list(field_errors(error.detail))
        body = problem(400, "; ".join(_sentence(each) for each in errors[:5]), errors=errors)
    elif isinstance(error, exceptions.APIException):
        body = problem(error.status_code, str(error.detail))
        if (challenge := getattr(error, "auth_header", None)) is not None:
            headers["WWW-Authenticate"] = challenge
        if isinstance(error, exceptions.MethodNotAllowed):
            headers["Allow"] = ", ".join(getattr(context.get("view"), "allowed_methods", []))
    elif isinstance(error, Http404):
        body = problem(404, str(error) or "nothing is here")
    elif isinstance(error, DjangoPermissionDenied):
        body = problem(403, str(error) or "not allowed")
    elif isinstance(error, RequestDataTooBig):
        body = problem(413, str(error))
    elif isinstance(error, DataError):
        logger.warning("%s: refused by the database", type(context.get("view")).__name__, exc_info=error)
        body = problem(400, UNKEEPABLE)
    elif isinstance(error, (TooManyFieldsSent, TooManyFilesSent, SuspiciousOperation)):
        body = problem(400, str(error))
    else:
        logger.error("unhandled error in %s", type(context.get("view")).__name__, exc_info=error)
        body = problem(500, "an internal error; the server's log says which")
    response = Response(body, status=int(str(body["status"])), headers=headers)
    response.content_type = CONTENT_TYPE
    return response


def _note_refusal(error: CausewayError, context: dict[str, object]) -> None:
    request = context.get("request")
    if not isinstance(request, Request) or isinstance(error, Unauthenticated):  # whose user cannot be asked for
        return
    if request.method not in SAFE_METHODS:
        refusals.note(request.user, error, f"{request.method} {request.path}")


def field_errors(detail: object, pointer: str = "#") -> Iterator[dict[str, str]]:
    """DRF's nested error structure as a flat list of {pointer, detail}."""
    if isinstance(detail, dict):
        for field, inner in detail.items():
            here = pointer if field == "non_field_errors" else f"{pointer}/{field}"
            yield from field_errors(inner, here)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from field_errors(inner, pointer if isinstance(inner, str) else f"{pointer}/{index}")
    else:
        yield {"pointer": pointer, "detail": str(detail)}


def _sentence(error: dict[str, str]) -> str:
    field = error["pointer"].removeprefix("#").removeprefix("/")
    return f"{field}: {error['detail']}" if field else error["detail"]


@csrf_exempt
def no_such_route(request: HttpRequest) -> JsonResponse:
    """What the API answers where nothing is."""
    body = problem(404, f"the API has nothing at {request.path}; /api/v1/schema lists what there is")
    return JsonResponse(body, status=404, content_type=CONTENT_TYPE)
