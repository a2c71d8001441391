"""What a program does with the client: publish, find and pull, against the real API."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from causeway import Artifact, CausewayError, Client, ModelCard, transfers
from flyteidl.core import literals_pb2, types_pb2

from artifacts import uploads
from artifacts.actions.publish import Publication, publish
from artifacts.literals import from_json
from artifacts.store import store

MOMENT = datetime(2026, 5, 17, 12, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "value",
    [3, 2.5, "text", True, [1, 2], {"a": {"b": [1]}}, MOMENT, timedelta(hours=1, seconds=2.5), b"\x00\xff"],
    ids=lambda value: type(value).__name__,
)
def test_it_publishes_and_pulls_plain_values(client: Client, value: Any) -> None:
    made = client.create("thing", value, version="v1", metrics={"auc": 0.9}, metadata={"owner": "ann"})
    assert client.create("thing", value, version="v1").id == made.id
    found = client.get("thing@v1")
    assert found.pull() == value
    assert (found.metrics, found.metadata) == ({"auc": 0.9}, {"owner": "ann"})
    with pytest.raises(CausewayError, match="different value") as refused:
        client.create("thing", "other", version="v1")
    assert refused.value.status == 409


def test_it_moves_files_and_folders(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)
    content = os.urandom(4500)
    (tmp_path / "data.bin").write_bytes(content)
    seen: list[tuple[str, int, int]] = []
    made = client.create("data", tmp_path / "data.bin", progress=lambda *step: seen.append(step))
    assert (made.fields["size_bytes"], made.kind) == (4500, "file")
    assert ("uploading", 4500, 4500) in seen
    path = client.get("data").pull(tmp_path / "there")
    assert path.read_bytes() == content
    assert client.get("data").download(tmp_path / "again").read_bytes() == content

    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub/ü b.txt").write_text("b")
    client.create("folder", directory=folder)
    pulled = client.get("folder").pull()
    assert sorted(each.relative_to(pulled).as_posix() for each in pulled.rglob("*.txt")) == ["a.txt", "sub/ü b.txt"]


def test_it_goes_on_after_a_break(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)
    monkeypatch.setattr(transfers, "PARALLEL", 1)
    (tmp_path / "data.bin").write_bytes(content := os.urandom(4500))
    sent: list[int] = []
    send_part = transfers._send_part

    def breaking(source: Path, part: dict[str, Any], counter: Any) -> None:
        if len(sent) == 2:
            sent.append(-1)
            raise KeyboardInterrupt
        sent.append(part["number"])
        send_part(source, part, counter)

    monkeypatch.setattr(transfers, "_send_part", breaking)
    with pytest.raises(KeyboardInterrupt):
        client.create("data", file=tmp_path / "data.bin")
    client.create("data", file=tmp_path / "data.bin")
    assert sorted(sent) == [-1, 1, 2, 3, 4, 5]

    version = client.get("data")
    files = version._data()["files"]
    part = tmp_path / "there"
    part.mkdir()
    received: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        transfers.download(files[0]["url"], part / "x", size=4500, identity="1", progress=_break_off)
    (half,) = part.iterdir()
    half.write_bytes(content[:3000])
    transfers.download(
        files[0]["url"], part / "x", size=4500, identity="1", progress=lambda _, done, total: received.append(done)
    )
    assert (part / "x").read_bytes() == content
    assert received == [4500]
    assert [each.name for each in part.iterdir()] == ["x"]


def _break_off(what: str, done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_it_moves_frames_and_models(client: Client) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    made = client.create("frame", frame, card="# Rides")
    assert made.kind == "dataset"
    pd.testing.assert_frame_equal(client.get("frame").pull(), frame)
    assert "<h1>Rides</h1>" in client.get("frame").card()

    made = client.create("model", model={"weights": [1, 2]}, card=ModelCard("# Model"))
    assert made.kind == "model"
    with pytest.raises(CausewayError, match="allow_pickle"):
        client.get("model").pull()
    assert client.get("model").pull(allow_pickle=True) == {"weights": [1, 2]}


def test_it_refers_to_data_elsewhere(client: Client) -> None:
    made = client.create(
        "elsewhere", external_ref="s3://bucket/x.csv", format="csv", size_bytes=10, content_hash="etag", kind="file"
    )
    assert (made.uri, made.kind, made.fields["size_bytes"]) == ("s3://bucket/x.csv", "file", 10)
    with pytest.raises(CausewayError, match=r"not in Causeway's own object store"):
        client.get("elsewhere").pull()


def literal_of(value: Any, kind: types_pb2.LiteralType) -> literals_pb2.Literal:
    return from_json(value, kind, name="value")


def test_it_pulls_what_tasks_publish(client: Client) -> None:
    files = [f"{store().root}/raw/demo/development/e1/{name}.txt" for name in "ab"]
    for uri in files:
        store().put(uri, uri[-5:].encode())
    blob = types_pb2.LiteralType(blob=types_pb2.BlobType())
    union = types_pb2.LiteralType(
        union_type=types_pb2.UnionType(variants=[types_pb2.LiteralType(simple=types_pb2.FLOAT), blob])
    )
    for name, value, kind in (
        ("list", files, types_pb2.LiteralType(collection_type=blob)),
        ("map", {"a": files[0]}, types_pb2.LiteralType(map_value_type=blob)),
        ("union", {"uri": files[0], "kind": "file"}, union),
        ("number", "nan", types_pb2.LiteralType(simple=types_pb2.FLOAT)),
    ):
        publish(Publication("demo", "development", name, literal_of(value, kind), kind), actor="ann")
    assert [path.read_text() for path in client.get("list").pull()] == ["a.txt", "b.txt"]
    assert client.get("map").pull()["a"].read_text() == "a.txt"
    assert client.get("union").pull().read_text() == "a.txt"
    assert math.isnan(client.get("number").pull())


def test_it_finds_versions_in_every_way(client: Client) -> None:
    first = client.create("rides", 1, version="v1", partitions={"region": "SEA"}, time_partition=MOMENT)
    second = client.create("rides", 2, version="v2", partitions={"region": "LAX"}, time_partition=MOMENT)
    assert client.get("rides").version == "v2"
    assert client.get("rides", partitions={"region": "SEA"}).version == "v1"
    assert client.get("rides", time_partition=MOMENT, partitions={"region": "SEA"}).id == first.id
    assert client.get(first.address).id == first.id
    assert client.get("flyte://av0.1/demo/development/rides?region=SEA").id == first.id
    before = datetime.fromisoformat(second.fields["created_at"].replace("Z", "+00:00"))
    assert client.get("rides", created_before=before).version == "v1"
    with pytest.raises(CausewayError, match="LAX, SEA") as missing:
        client.get("rides", partitions={"region": "ATL"})
    assert missing.value.status == 404
    assert [version.version for version in client.versions("rides")] == ["v2", "v1"]
    assert [each["name"] for each in client.artifacts("rid")] == ["rides"]

    client.move_alias("rides", "champion", "v1", reason="better", expected=None)
    assert client.get("rides:champion").version == "v1"
    assert client.get("rides", alias="champion").version == "v1"
    with pytest.raises(CausewayError) as moved:
        second.set_alias("champion", expected="v2")
    assert moved.value.status == 409
    second.set_alias("champion", expected="v1")
    assert [move["to_version"] for move in client.alias_history("rides", "champion")] == ["v2", "v1"]
    client.remove_alias("rides", "champion")
    assert client.artifact("rides")["aliases"] == []


@pytest.mark.parametrize(
    ("publish", "said"),
    [
        (lambda client, path: client.create("x"), "exactly one"),
        (lambda client, path: client.create("x", 1, external_ref="s3://b/k"), "exactly one"),
        (lambda client, path: client.create("x", [1.0, math.nan]), "JSON"),
        (lambda client, path: client.create("x", {1, 2}), "JSON"),
        (lambda client, path: client.create("x", directory=path), "no files"),
        (lambda client, path: client.create("x", file=path), "directory|no files"),
        (lambda client, path: client.create("x", file=path / "none"), "no file"),
        (lambda client, path: client.create("a/b", 1), "no artifact"),
        (lambda client, path: client.create("a@v1", 1), "more than a name"),
        (lambda client, path: client.create("a:best", 1), "more than a name"),
        (lambda client, path: client.get("flyte://elsewhere/x"), "address"),
        (lambda client, path: client.create("x", frame=[1]), "frame"),
    ],
)
def test_it_explains_what_cannot_be(publish: Callable[[Client, Path], Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(CausewayError, match=said):
        publish(Client("http://127.0.0.1:9", "token"), tmp_path)


def test_it_says_once_what_the_server_refuses(client: Client) -> None:
    with pytest.raises(CausewayError, match=r'\Akind: "zebra" is not a valid choice\.\Z'):
        client.create("x", 1, kind="zebra")


def test_it_publishes_by_the_name_flytekit_programs_use(client: Client) -> None:
    assert Artifact.create("threshold", 0.8, client=client).pull() == 0.8
    assert Artifact.get("threshold:latest", client=client).value == 0.8
    assert Artifact(name="threshold").query().artifact.name == "threshold"
