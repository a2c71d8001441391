"""Small objects of a bucket without boto3: what both make of it is the same, and what is unusual boto3 does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifacts.exceptions import NotFound
from artifacts.store import ObjectStore, open_store, s3_small
from artifacts.store.s3_small import SMALL, SmallObjects, is_told

KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
ODD = " %#?*+=:;,@!$&'()[]{}<>|^`\"\\~äß中-._"


@pytest.fixture
def objects(s3_store: ObjectStore) -> ObjectStore:
    """As another process would open it."""
    return open_store(s3_store.root)


def asked_boto3(store: ObjectStore) -> bool:
    return "client" in vars(store)


def test_what_is_asked_all_day_does_not_need_boto3(objects: ObjectStore) -> None:
    uri = f"{objects.root}/a/outputs.pb"
    objects.put(uri, b"one")
    assert objects.get(uri) == b"one"
    assert objects.size(uri) == 3
    assert objects.exists(uri)
    assert not objects.exists(f"{objects.root}/a/error.pb")
    with pytest.raises(NotFound):
        objects.size(f"{objects.root}/a/error.pb")
    assert objects.among(f"{objects.root}/a", ["outputs.pb", "error.pb"]) == {"outputs.pb"}
    assert objects.among(f"{objects.root}/none", ["outputs.pb"]) == set()
    assert not asked_boto3(objects)


def test_what_is_missing_boto3_says(objects: ObjectStore) -> None:
    with pytest.raises(NotFound):
        objects.get(f"{objects.root}/none")
    assert asked_boto3(objects)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(ODD + "ab", min_size=1, max_size=20).filter(lambda name: set(name) - {"."}))
def test_both_have_the_same_names(s3_store: ObjectStore, name: str) -> None:
    objects = open_store(s3_store.root)
    uri = f"{objects.root}/odd/{name}"
    objects.put(uri, name.encode())
    assert uri in {one.uri for one in s3_store.list(f"{s3_store.root}/odd")}
    with s3_store.open(uri) as stream:
        assert stream.read() == name.encode() == objects.get(uri)
    assert objects.among(f"{objects.root}/odd", [name]) == {name}
    assert not asked_boto3(objects)


def test_large_ones_are_boto3s(objects: ObjectStore) -> None:
    uri, content = f"{objects.root}/large", b"." * (SMALL + 1)
    objects.put(uri, content)
    assert asked_boto3(objects)
    again = open_store(objects.root)
    assert again.get(uri) == content
    assert asked_boto3(again)


def test_a_large_folder_is_looked_at_name_by_name(objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_small, "PAGE", 2)
    for name in "abc":
        objects.put(f"{objects.root}/many/{name}", b"")
    assert objects.among(f"{objects.root}/many", ["a", "c", "d"]) == {"a", "c"}


def test_a_bucket_that_is_not_there_is_told_of_as_ever(s3_store: ObjectStore) -> None:
    nowhere = open_store("s3://nobody/x")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.put("s3://nobody/x/a", b"")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.get("s3://nobody/x/a")


def test_a_fork_of_a_process_that_asked_asks_boto3(objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would answer there: it has none of the threads."""
    uri = f"{objects.root}/a"
    objects.put(uri, b"one")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert objects.get(uri) == b"one"
    assert asked_boto3(objects)


@pytest.fixture
def garbage(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A server that is none of S3; how often it was asked."""
    asked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                asked.append(1)
                with line:
                    line.recv(9999)
                    line.sendall(b"HTTP/1.1 418 I am a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        yield asked
        server.shutdown(socket.SHUT_RDWR)


def test_what_it_does_not_understand_it_leaves_to_boto3_for_a_while(
    garbage: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SmallObjects("bucket")
    assert [small.get("a"), small.put("a", b""), small.size("a"), small.names("a")] == [None] * 4
    assert len(garbage) == 1
    monkeypatch.setattr(s3_small, "PAUSE", 0)
    small = SmallObjects("bucket")
    assert [small.get("a"), small.put("a", b""), small.size("a"), small.names("a")] == [None] * 4
    assert len(garbage) == 1 + 4


HERE, SAFELY = "http://127.0.0.1:1", "https://store.example"


@pytest.mark.parametrize(
    ("at", "more", "told"),
    [
        (HERE, {}, True),
        (SAFELY, {}, True),
        (None, {}, False),  # Amazon's own: the bucket may be in another region
        (HERE, {"AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "p"}, True),  # keys of the environment go before a profile's
        (HERE, {"AWS_ACCESS_KEY_ID": ""}, False),
        (HERE, {"AWS_S3_SESSION_PROFILE": "p"}, False),
        (HERE, {"AWS_S3_SECRET_ACCESS_KEY": "other"}, False),
        (HERE, {"CAUSEWAY_S3_ADDRESSING": "virtual"}, False),
        (HERE, {"AWS_CA_BUNDLE": "/ca.pem"}, True),
        (SAFELY, {"AWS_CA_BUNDLE": "/ca.pem"}, False),
        (SAFELY, {"HTTP_PROXY": HERE}, True),
        (SAFELY, {"HTTPS_PROXY": HERE}, False),
        (SAFELY, {"HTTPS_PROXY": HERE, "NO_PROXY": ".example"}, True),
    ],
)
def test_it_is_asked_only_where_everything_is_said(
    at: str | None, more: dict[str, str], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv(name, more.get(name, ""))
    assert is_told({**KEYS, **more}, at) is told
