"""Whole objects of an S3 store take one request of our own, and the client's way wherever that is not plain."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.exceptions import ConnectTimeoutError  # type: ignore[import-untyped]

from artifacts.exceptions import NotFound
from artifacts.store import ObjectStore
from artifacts.store.plainly import MOST


class Counting:
    """A client that counts its own calls; what goes plainly is none."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if name.startswith(("put_", "get_", "head_")):
            self.calls.append(name)
        return found


@pytest.fixture
def client(s3_store: ObjectStore) -> Counting:
    made = Counting(s3_store.client)  # type: ignore[attr-defined]
    s3_store.__dict__["client"] = made
    return made


@pytest.mark.parametrize("name", ["outputs.pb", "a b+c%20d.pb", "ü~(1)&=.pb", "x" * 200, "deep/er/one"])
def test_objects_of_any_name_go_plainly_and_the_client_sees_the_same(
    s3_store: ObjectStore, client: Counting, name: str
) -> None:
    uri = f"{s3_store.root}/{name}"
    s3_store.put(uri, b"abc")
    assert (s3_store.get(uri), s3_store.size(uri), s3_store.exists(uri)) == (b"abc", 3, True)
    assert client.calls == []
    with s3_store.open(uri) as stream:
        assert stream.read() == b"abc"
    assert [one.uri for one in s3_store.list(s3_store.root)] == [uri]


def test_what_is_missing_is_known_without_the_client(s3_store: ObjectStore, client: Counting) -> None:
    uri = f"{s3_store.root}/none"
    for ask in (s3_store.get, s3_store.size):
        with pytest.raises(NotFound, match="there is no object s3://"):
            ask(uri)
    assert client.calls == []


def test_an_empty_object_is_one(s3_store: ObjectStore, client: Counting) -> None:
    s3_store.put(f"{s3_store.root}/empty", b"")
    assert s3_store.get(f"{s3_store.root}/empty") == b""
    assert client.calls == []


def test_a_bucket_that_is_not_there_is_the_clients_to_tell(s3_store: ObjectStore, client: Counting) -> None:
    s3_store._plain.__dict__["bucket"] = s3_store.bucket = "another"  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="NoSuchBucket"):
        s3_store.get(f"{s3_store.root}/x")
    assert client.calls == ["get_object"]


def test_what_is_large_is_the_clients(s3_store: ObjectStore, client: Counting) -> None:
    s3_store.put(f"{s3_store.root}/large", b"x" * (MOST + 1))
    assert client.calls == ["put_object"]
    assert s3_store.size(f"{s3_store.root}/large") == MOST + 1


def answered(status: int, body: bytes, length: int) -> AWSResponse:
    made = AWSResponse("http://x", status, {"Content-Length": str(length)}, None)
    made._content = body
    return made


@pytest.mark.parametrize(
    "answer",
    [
        answered(503, b"slow down", 9),
        answered(301, b"", 0),
        answered(200, b"ab", 3),  # cut off
        ConnectTimeoutError(endpoint_url="http://x"),
        AttributeError("a botocore that works otherwise inside"),
    ],
    ids=["busy", "moved", "cut off", "no answer", "another botocore"],
)
def test_what_is_not_plain_is_asked_again_by_the_client(
    s3_store: ObjectStore, client: Counting, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    uri = f"{s3_store.root}/one"
    s3_store.put(uri, b"abc")
    session, first = client.client._endpoint.http_session, [answer]
    send = session.send

    def once(request: Any) -> Any:
        if not first:
            return send(request)
        told = first.pop()
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setattr(session, "send", once)
    assert s3_store.get(uri) == b"abc"
    assert client.calls == ["get_object"]


def test_without_an_endpoint_of_somebodys_own_it_is_the_clients(s3_store: ObjectStore, client: Counting) -> None:
    s3_store._endpoint = ""  # type: ignore[attr-defined]
    s3_store.put(f"{s3_store.root}/one", b"abc")
    assert s3_store.get(f"{s3_store.root}/one") == b"abc"
    assert client.calls == ["put_object", "get_object"]
