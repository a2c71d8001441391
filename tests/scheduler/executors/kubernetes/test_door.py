"""The pod's own way to small objects: what it reads and writes, and when it leaves that to others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from artifacts.store import ObjectStore
from scheduler.executors.kubernetes.runner.pod.door import Door, Elsewhere


@pytest.fixture
def door(s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    for name in [name for name in os.environ if name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return Door()


@pytest.mark.parametrize("key", ["a", "a b/c+d=e,f~g", "ä/ü.pb", "x" * 200])
@pytest.mark.parametrize("data", [b"", b"one", b"x" * 3_000_000])
def test_what_is_put_is_there_and_what_is_there_is_got(
    door: Door, s3_store: ObjectStore, tmp_path: Path, key: str, data: bytes
) -> None:
    uri = f"{s3_store.root}/{key}"
    door.put(uri, data)
    assert s3_store.get(uri) == data
    door.get(uri, str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == data


def test_a_kind_of_content_goes_along(door: Door, s3_store: Any) -> None:
    door.put(f"{s3_store.root}/deck.html", b"<p>", "text/html")
    told = s3_store.client.head_object(Bucket="bucket", Key="some/prefix/deck.html")
    assert told["ContentType"] == "text/html"


def test_a_connection_that_was_lost_is_made_again(door: Door, s3_store: ObjectStore, tmp_path: Path) -> None:
    door.put(f"{s3_store.root}/a", b"1")
    (connection,) = door._open.values()
    connection.connect()
    connection.sock.close()  # as the other side would, after a while
    door.get(f"{s3_store.root}/a", str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.parametrize("key", ["absent", "a*b", "a?b", "a[b", "a#b", "a%20b", "folder/", "a//b", ""])
def test_what_is_not_plainly_there_is_left_to_others(
    door: Door, s3_store: ObjectStore, tmp_path: Path, key: str
) -> None:
    with pytest.raises(Elsewhere):
        door.get(f"s3://bucket/{key}", str(tmp_path / "got"))
    s3_store.put(f"{s3_store.root}/after", b"2")
    door.get(f"{s3_store.root}/after", str(tmp_path / "after"))  # an answer that was left is not taken for this one
    assert (tmp_path / "after").read_bytes() == b"2"


def test_what_is_large_is_left_to_others(door: Door, s3_store: ObjectStore, tmp_path: Path) -> None:
    s3_store.put(f"{s3_store.root}/large", b"x" * 11)
    with pytest.raises(Elsewhere):
        door.get(f"{s3_store.root}/large", str(tmp_path / "got"), most=10)
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_PROFILE": "other"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"},
        {"https_proxy": "http://proxy:3128"},
        {"FSSPEC_S3_ANON": "true"},
        {"FLYTE_AWS_ACCESS_KEY_ID": "half"},
        {"FLYTE_AWS_ENDPOINT": "http://store/with/a/path"},
    ],
)
def test_keys_and_ways_from_elsewhere_are_not_guessed(
    door: Door, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Elsewhere):
        Door()


def test_a_store_that_is_away_is_left_to_others(
    door: Door, s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_AWS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Elsewhere):
        Door().put(f"{s3_store.root}/a", b"1")
