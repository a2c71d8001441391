"""What several methods read from their requests, checked as flyteadmin does: `missing <field>` is INVALID_ARGUMENT."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

from flyteidl.admin import common_pb2
from flyteidl.core import identifier_pb2

from artifacts.exceptions import InvalidArgument
from console.accounts.access import Action
from console.rpc.caller import Caller
from scheduler.models import Execution
from scheduler.queries import ListRequest, get_execution

MAX_LIMIT = 10_000


def missing(field: str) -> InvalidArgument:
    return InvalidArgument(f"missing {field}")


@dataclass(frozen=True)
class VersionKey:
    """Where a registered version lies; as keyword arguments of scheduler.queries.get_version."""

    project: str
    domain: str
    name: str
    version: str

    def arguments(self) -> dict[str, str]:
        return asdict(self)


def check_identifier(identifier: identifier_pb2.Identifier, expected: int) -> VersionKey:
    """A complete identifier of the expected resource type (flyteidl.core.ResourceType)."""
    if identifier.resource_type != expected:
        names = identifier_pb2.ResourceType
        got = names.Name(identifier.resource_type) if identifier.resource_type in names.values() else "unknown"
        wanted = names.Name(expected)
        raise InvalidArgument(
            f"unexpected resource type {got.lower()} for identifier, expected {wanted.lower()} instead"
        )
    for field in ("project", "domain", "name", "version"):
        if not getattr(identifier, field):
            raise missing(field)
    return VersionKey(identifier.project, identifier.domain, identifier.name, identifier.version)


class _Scope(Protocol):
    project: str
    domain: str


def require_scope(scope: _Scope) -> None:
    """Raises InvalidArgument unless project and domain are given."""
    if not scope.project:
        raise missing("project")
    if not scope.domain:
        raise missing("domain")


def require_name(identifier: common_pb2.NamedEntityIdentifier) -> None:
    require_scope(identifier)
    if not identifier.name:
        raise missing("name")


def find_execution(
    identifier: identifier_pb2.WorkflowExecutionIdentifier, caller: Caller, action: Action = Action.READ
) -> Execution:
    """The execution, if the caller may do this to it. Raises InvalidArgument, PermissionDenied or NotFound."""
    require_scope(identifier)
    if not identifier.name:
        raise missing("name")
    caller.may(action, identifier.project, identifier.domain)
    return get_execution(project=identifier.project, domain=identifier.domain, name=identifier.name)


class _Paged(Protocol):
    limit: int
    token: str
    filters: str

    @property
    def sort_by(self) -> common_pb2.Sort: ...


def list_request(request: _Paged) -> ListRequest:
    return sorted_page(request.sort_by, limit=request.limit, token=request.token, filters=request.filters)


def sorted_page(sort: common_pb2.Sort, *, limit: int, token: str, filters: str = "") -> ListRequest:
    """A page of a list. Raises InvalidArgument for a limit of 0 (as Flyte) or beyond what one message can hold."""
    if limit == 0:
        raise InvalidArgument("invalid value for limit")
    if limit > MAX_LIMIT:
        raise InvalidArgument(f"invalid value for limit: at most {MAX_LIMIT}")
    if sort.direction not in (common_pb2.Sort.ASCENDING, common_pb2.Sort.DESCENDING):
        raise InvalidArgument(f"invalid sort order specified: {sort.direction}")
    descending = sort.direction == common_pb2.Sort.DESCENDING
    return ListRequest(limit=limit, token=token, filters=filters, sort_key=sort.key, descending=descending)
