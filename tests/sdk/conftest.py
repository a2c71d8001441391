"""The client and the command against the real REST API, on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from causeway.cli import main
from causeway.client import Client
from click.testing import CliRunner, Result
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from console.accounts import tokens
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import Project


@pytest.fixture
def server(transactional_db: None, live_server: LiveServer, settings: Settings, object_store: str) -> LiveServer:
    settings.CAUSEWAY_PUBLIC_URL = live_server.url
    return live_server


@pytest.fixture
def client(server: LiveServer) -> Client:
    """Of an approver in project demo."""
    Project.objects.create(identifier="demo", name="demo")
    user = User.objects.create(username="abe")
    RoleBinding.objects.create(user=user, role=Role.APPROVER, project="demo")
    return Client(server.url, tokens.create(user, "tests")[1], "demo", "development")


class Command:
    def __init__(self, url: str, token: str) -> None:
        self.environment = {"CAUSEWAY_URL": url, "CAUSEWAY_TOKEN": token, "CAUSEWAY_PROJECT": "demo"}

    def __call__(self, *arguments: Any, exit_code: int = 0, typed: str | bytes | None = None) -> str:
        """What it prints, on stderr when it is to fail; checks the exit code. `typed` comes in on its input."""
        words = [str(each) for each in arguments]
        result: Result = CliRunner().invoke(main, words, env=self.environment, input=typed)
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result.stdout if exit_code == 0 else result.stderr


@pytest.fixture
def causeway(client: Client, tmp_path: Path) -> Command:
    token = str(client.connection.session.headers["Authorization"]).removeprefix("Bearer ")
    return Command(client.connection.url, token)


PICTURES = "memory://bucket/pictures"


@pytest.fixture
def store() -> Iterator[Any]:
    """A store that is not on this machine, as far as anybody can tell."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    for name in ("a.txt", "deep/b.txt"):
        found.pipe(f"/bucket/pictures/{name}", name.encode())
    yield found
    found.store.clear()


@pytest.fixture
def downloads(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was fetched from it."""
    monkeypatch.setenv("CAUSEWAY_MOUNTS_DIR", str(tmp_path / "mounts"))
    fetched: list[str] = []
    original = type(store).get_file

    def get_file(self: Any, source: str, target: str, **options: Any) -> None:
        fetched.append(source)
        original(self, source, target, **options)

    monkeypatch.setattr(type(store), "get_file", get_file)
    return fetched
