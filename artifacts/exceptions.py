"""Errors that doors turn into a gRPC status or an HTTP problem.

The message is shown to users: say what was wrong and what is allowed.
"""

from __future__ import annotations

import errno
from typing import ClassVar


class CausewayError(Exception):
    """Base of every error a user may see. `grpc_status` is the name in grpc.StatusCode, `http_status` the HTTP code."""

    grpc_status: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, detail: object | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail  # JSON-able, for machines; optional


class InvalidArgument(CausewayError):
    grpc_status = "INVALID_ARGUMENT"
    http_status = 400


# Of a request that only the database refused: its own words tell of tables.
UNKEEPABLE = "something in the request cannot be kept: a text that is too long, or a number or date out of range"


class LengthRequired(InvalidArgument):
    """A body without a Content-Length is not read; saying so is better than taking it for empty."""

    http_status = 411


class NotFound(CausewayError):
    grpc_status = "NOT_FOUND"
    http_status = 404


class AlreadyExists(CausewayError):
    grpc_status = "ALREADY_EXISTS"
    http_status = 409


class FailedPrecondition(CausewayError):
    """The request is fine, the state is not: deciding a decided gate, aborting an ended execution."""

    grpc_status = "FAILED_PRECONDITION"
    http_status = 409


class PermissionDenied(CausewayError):
    grpc_status = "PERMISSION_DENIED"
    http_status = 403


class Unauthenticated(CausewayError):
    grpc_status = "UNAUTHENTICATED"
    http_status = 401


class ResourceExhausted(CausewayError):
    grpc_status = "RESOURCE_EXHAUSTED"
    http_status = 429


class PayloadTooLarge(ResourceExhausted):
    http_status = 413


class StoreFull(ResourceExhausted):
    """No room for the bytes of what was asked for."""

    http_status = 507


class DatabaseAway(CausewayError):
    """No connection to the database, or it was lost: whoever asks again later may be lucky."""

    grpc_status = "UNAVAILABLE"
    http_status = 503


_LOST = frozenset({"OperationalError", "InterfaceError"})  # Django's, which this module does without
_OWN_FAULT = ("54", "57014")  # SQLSTATE: a limit of the program's, and a statement that took too long


def _is_away(error: Exception) -> bool:
    state = str(getattr(error.__cause__, "sqlstate", None) or "")
    return (
        type(error).__module__ == "django.db.utils"
        and type(error).__name__ in _LOST
        and not state.startswith(_OWN_FAULT)
    )


def told(error: Exception) -> Exception:
    """The error as a user is told of it: that a disk is full, or the database away, is nothing internal."""
    if _is_away(error):
        return DatabaseAway("the database does not answer: try again in a moment")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("the disk of the object store is full: nothing was written")
    return error


class SearchTooLong(CausewayError):
    """A search that was given up after its time limit; the message says how to narrow it."""

    grpc_status = "DEADLINE_EXCEEDED"
    http_status = 503


class QueryUnresolved(NotFound):
    """An artifact query that matches no version; the message says what exists instead."""
