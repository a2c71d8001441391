from __future__ import annotations

import errno
from collections.abc import Callable

import grpc
import pytest
from django.db import OperationalError
from flyteidl.admin import common_pb2, project_pb2, version_pb2
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from pytest_django import Settings

from console.rpc import services
from console.rpc.server import MAX_MESSAGE_BYTES, PortTaken, build_server

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
AUTH = auth_pb2.DESCRIPTOR.services_by_name["AuthMetadataService"]
IDENTITY = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]
DATA_PROXY = dataproxy_pb2.DESCRIPTOR.services_by_name["DataProxyService"]
SIGNALS = signal_pb2.DESCRIPTOR.services_by_name["SignalService"]
Call = Callable[..., Message]


def status(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    return error.value.code()


def test_it_serves_or_refuses_with_a_reason_every_method_of_every_service() -> None:
    declared = {method.name for method in ADMIN.methods}
    assert set(services.ADMIN) | set(services.ADMIN_NOT_SERVED) == declared
    assert not set(services.ADMIN) & set(services.ADMIN_NOT_SERVED)
    assert set(services.DATA_PROXY) == {method.name for method in DATA_PROXY.methods}
    assert set(services.SIGNALS) == {method.name for method in SIGNALS.methods}
    assert set(services.AUTH_METADATA) == {method.name for method in AUTH.methods}
    assert set(services.IDENTITY) == {method.name for method in IDENTITY.methods}


def test_it_answers_malformed_bytes_with_invalid_argument_on_every_method(call: Call) -> None:
    for service in (ADMIN, DATA_PROXY, SIGNALS, AUTH):
        for method in service.methods:
            with pytest.raises(grpc.RpcError) as error:
                call(service, method.name, b"\x0a\xff\xff\xff")
            assert status(error) is grpc.StatusCode.INVALID_ARGUMENT, method.full_name


# Methods that do have a meaning without any field set.
EMPTY_IS_FINE = {"ListProjects", "GetDomains", "GetVersion", "ListMatchableAttributes", "UserInfo"}


def test_it_answers_an_empty_request_with_invalid_argument_on_every_method_that_needs_fields(call: Call) -> None:
    for service in (ADMIN, DATA_PROXY, SIGNALS):
        for method in service.methods:
            if method.name in EMPTY_IS_FINE | set(services.ADMIN_NOT_SERVED):
                continue
            with pytest.raises(grpc.RpcError) as error:
                call(service, method.name, GetMessageClass(method.input_type)())
            assert status(error) is grpc.StatusCode.INVALID_ARGUMENT, method.full_name


def test_it_says_why_a_method_is_not_served(call: Call) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "CreateTaskEvent", b"")
    assert status(error) is grpc.StatusCode.UNIMPLEMENTED
    assert "own engine" in str(error.value.details())


def test_it_refuses_a_message_that_is_too_large(call: Call) -> None:
    request = project_pb2.Project(id="demo", description="x" * (MAX_MESSAGE_BYTES + 1))
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "UpdateProject", request)
    assert status(error) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_it_hides_unexpected_errors_behind_a_reference(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(caller: object) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("console.rpc.projects.access.known_projects", broken)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "ListProjects", b"")
    assert status(error) is grpc.StatusCode.INTERNAL
    details = str(error.value.details())
    assert "reference" in details and "secret" not in details and "Traceback" not in details


def test_it_says_that_the_disk_is_full(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("console.rpc.projects.access.known_projects", full)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "ListProjects", project_pb2.ProjectListRequest())
    assert status(error) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "disk of the object store is full" in str(error.value.details())


def test_a_database_that_is_away_is_no_internal_error(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """flytekit asks again where a server is unavailable."""

    def away(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("console.rpc.projects.access.known_projects", away)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "ListProjects", project_pb2.ProjectListRequest())
    assert status(error) is grpc.StatusCode.UNAVAILABLE
    assert error.value.details() == "the database does not answer: try again in a moment"


def test_it_takes_a_call_without_a_token_for_the_local_admin_in_open_mode(call: Call) -> None:
    answer = call(IDENTITY, "UserInfo", b"")
    assert answer.subject == "admin"  # type: ignore[attr-defined]


def test_it_refuses_a_call_without_a_token_in_token_mode(call: Call, settings: Settings) -> None:
    settings.CAUSEWAY_GRPC_AUTH = "token"
    for service in (ADMIN, DATA_PROXY, SIGNALS, IDENTITY):
        for method in service.methods:
            if method.name == "GetVersion":
                continue  # whether the door is open is asked before anybody has a token
            with pytest.raises(grpc.RpcError) as error:
                call(service, method.name, b"\xff")
            assert status(error) is grpc.StatusCode.UNAUTHENTICATED, method.full_name
    assert call(ADMIN, "GetVersion", b"").control_plane_version  # type: ignore[attr-defined]


def test_it_tells_everybody_how_to_authenticate(call: Call, settings: Settings) -> None:
    settings.CAUSEWAY_GRPC_AUTH = "token"
    config = call(AUTH, "GetPublicClientConfig", b"")
    assert config.authorization_metadata_key == "authorization"  # type: ignore[attr-defined]
    assert call(AUTH, "GetOAuth2Metadata", b"").issuer  # type: ignore[attr-defined]


def test_it_refuses_a_wrong_token_even_in_open_mode(call: Call) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "GetVersion", b"", token="causeway_nonsense")
    assert status(error) is grpc.StatusCode.UNAUTHENTICATED


def test_it_acts_as_the_owner_of_the_token(call: Call, token_of: Callable[..., str], settings: Settings) -> None:
    settings.CAUSEWAY_GRPC_AUTH = "token"
    assert call(IDENTITY, "UserInfo", b"", token=token_of("mara", "viewer")).subject == "mara"  # type: ignore[attr-defined]


def test_it_shows_strangers_nothing_of_a_project(call: Call, token_of: Callable[..., str]) -> None:
    token = token_of("stranger", "viewer", project="other")
    assert not call(ADMIN, "ListProjects", b"", token=token).projects  # type: ignore[attr-defined]
    request = common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project="demo", domain="development"), limit=10
    )
    for method in ("ListTasks", "ListWorkflows", "ListLaunchPlans", "ListExecutions"):
        with pytest.raises(grpc.RpcError) as error:
            call(ADMIN, method, request, token=token)
        assert status(error) is grpc.StatusCode.PERMISSION_DENIED, method


def test_it_lets_a_viewer_read_but_not_register(call: Call, token_of: Callable[..., str]) -> None:
    token = token_of("vera", "viewer")
    assert len(call(ADMIN, "ListProjects", b"", token=token).projects) == 1  # type: ignore[attr-defined]
    with pytest.raises(grpc.RpcError) as error:
        request = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="x", name="x"))
        call(ADMIN, "RegisterProject", request, token=token)
    assert status(error) is grpc.StatusCode.PERMISSION_DENIED


def test_it_tells_the_version_of_flyte_it_speaks(call: Call) -> None:
    answer = call(ADMIN, "GetVersion", version_pb2.GetVersionRequest())
    assert answer.control_plane_version.Version == "v1.16.8"  # type: ignore[attr-defined]


def test_it_answers_the_standard_health_check(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=10) == b"\x08\x01"


def test_it_does_not_share_its_port(address: str) -> None:
    with pytest.raises(PortTaken, match=address.rpartition(":")[2]):
        build_server(f"127.0.0.1:{address.rpartition(':')[2]}")
