"""The S3 door that script/up offers: when there is one, where it is, and what is said where there can be none."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from console.supervisor import s3_door
from console.supervisor.errors import CannotStart
from console.supervisor.paths import Home
from console.supervisor.processes import Options, core, shared_environment
from console.supervisor.s3_door import Door, door

Begin = Callable[..., Door | None]
said: list[str] = []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    program = tmp_path / "versitygw"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("CAUSEWAY_VERSITYGW", str(program))
    said.clear()
    found = Home(tmp_path / "home")
    found.root.mkdir()
    return found


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    told = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(told))
    return {"CAUSEWAY_KUBECONFIG": str(path)}


def begin(home: Home, env: dict[str, str], asked: str = "") -> Door | None:
    return door(home, env, asked, say=said.append)


def test_it_is_there_for_clusters_that_have_no_other_store(home: Home, cluster: dict[str, str]) -> None:
    assert begin(home, {}) is None
    assert begin(home, {**cluster, "CAUSEWAY_STORE_URL": "s3://b"}) is None
    assert not said
    found = begin(home, cluster, "127.0.0.1:0")
    assert found is not None
    assert (home.objects_door / "causeway").is_dir()
    assert said == [f"object store: Causeway's own S3 door at {found.url}, bucket causeway, objects in {home.root}/s3"]


def test_a_home_that_has_one_keeps_it_its_place_and_its_keys(home: Home) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = begin(home, {}, f"127.0.0.1:{port}")
    again = begin(home, {})
    assert first is not None
    assert again == first
    assert again.environment() == first.environment()
    assert first.environment()["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port}"
    assert len(first.environment()["AWS_SECRET_ACCESS_KEY"]) > 40


def test_every_process_reaches_it_and_it_starts_first(home: Home) -> None:
    found = begin(home, {}, "127.0.0.1")
    assert found is not None
    options = Options(home, "127.0.0.1", 1, 2, postgres=False, valkey=False, environment={}, door=found)
    (store,) = core(options)
    assert store.command[-1] == str(home.objects_door)
    assert store.environment["ROOT_SECRET_ACCESS_KEY"] == shared_environment(options)["AWS_SECRET_ACCESS_KEY"]
    assert shared_environment(options)["CAUSEWAY_STORE_URL"] == "s3://causeway"


def test_a_port_that_is_taken_is_left_to_whom_has_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(s3_door, "PORT", other.getsockname()[1])
        found = begin(home, {}, "127.0.0.1")
        assert found is not None
        assert found.port not in (0, s3_door.PORT)


def test_objects_that_it_would_not_show_are_not_hidden(home: Home, cluster: dict[str, str]) -> None:
    (home.root / "objects" / "metadata").mkdir(parents=True)
    assert begin(home, cluster) is None
    assert "has objects in a folder already" in said[0]
    with pytest.raises(CannotStart, match="begin with another --home"):
        begin(home, cluster, "auto")
    assert not home.s3_door.exists()


def test_without_a_program_it_is_said_and_fails_only_where_it_was_asked_for(
    home: Home, cluster: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAUSEWAY_VERSITYGW")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert begin(home, cluster) is None
    assert said[0].startswith("no S3 door for pods: it needs the program versitygw")
    with pytest.raises(CannotStart, match="CAUSEWAY_STORE_URL"):
        begin(home, cluster, "auto")


@pytest.mark.parametrize("asked", ["127.0.0.1:what", "127.0.0.1:99999", ":80"])
def test_what_is_no_address_is_told(home: Home, asked: str) -> None:
    with pytest.raises(CannotStart, match="is no ADDRESS or ADDRESS:PORT"):
        begin(home, {}, asked)


def test_it_and_another_store_are_not_both(home: Home) -> None:
    with pytest.raises(CannotStart, match="CAUSEWAY_STORE_URL names one"):
        begin(home, {"CAUSEWAY_STORE_URL": "s3://b"}, "auto")
