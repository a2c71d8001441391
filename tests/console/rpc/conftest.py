from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.configuration import Config, PlatformConfig
from flytekit.remote import FlyteRemote
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from pytest_django import Settings

from console.accounts import access, tokens
from console.accounts.models import RoleBinding, User
from console.rpc.server import build_server
from scheduler.models import Project

Call = Callable[..., Message]


@pytest.fixture
def demo(db: None) -> Project:
    return Project.objects.create(identifier="demo", name="Demo")


@pytest.fixture
def address(transactional_db: None, demo: Project, object_store: str, valkey: object) -> Iterator[str]:
    """A running server, with the project `demo`, an empty object store and a broker."""
    access.local_admin()
    server, port = build_server("127.0.0.1:0", threads=4)
    server.start()
    yield f"localhost:{port}"
    server.stop(None).wait()


@pytest.fixture(autouse=True)
def open_mode(settings: Settings) -> None:
    """Most tests here are about what a call does, not about who makes it; those that are say otherwise."""
    settings.CAUSEWAY_GRPC_AUTH = "open"


@pytest.fixture
def client(address: str) -> SynchronousFlyteClient:
    return SynchronousFlyteClient(PlatformConfig(endpoint=address, insecure=True))


@pytest.fixture
def remote(address: str) -> FlyteRemote:
    config = Config.for_endpoint(address, insecure=True)
    return FlyteRemote(config, default_project="demo", default_domain="development")


@pytest.fixture
def call(address: str) -> Iterator[Call]:
    """Calls a method by its service and name, without flytekit's retries. Bytes go as they are."""
    from google.protobuf.message_factory import GetMessageClass

    with grpc.insecure_channel(address) as channel:

        def invoke(service: ServiceDescriptor, name: str, request: Message | bytes, *, token: str = "") -> Message:
            method = service.methods_by_name[name]
            stub: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{service.full_name}/{name}")
            data = request if isinstance(request, bytes) else request.SerializeToString()
            metadata = (("authorization", f"Bearer {token}"),) if token else None
            return GetMessageClass(method.output_type).FromString(stub(data, metadata=metadata, timeout=20))

        yield invoke


@pytest.fixture
def token_of(demo: Project) -> Callable[..., str]:
    """A token of a new user, with one role in a project; no role: a stranger."""

    def make(name: str, role: str = "", project: str = "demo") -> str:
        user = User.objects.create_user(name)
        if role:
            RoleBinding.objects.create(user=user, project=project, role=role)
        return tokens.create(user, name="test")[1]

    return make
