"""One suite for every store: a local directory, and a real S3 endpoint."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.store import LocalStore, ObjectStore, open_store
from artifacts.uploads import File, complete, upload

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.server)])
def objects(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> ObjectStore:
    if request.param == "s3":
        store: ObjectStore = request.getfixturevalue("s3_store")
        return store
    settings.CAUSEWAY_STORE_URL = f"file://{tmp_path}/objects"
    return open_store(settings.CAUSEWAY_STORE_URL)


@pytest.mark.parametrize(("start", "rest"), [(0, b"0123456789"), (4, b"456789"), (10, b""), (99, b"")])
def test_it_reads_from_a_byte_on(objects: ObjectStore, start: int, rest: bytes) -> None:
    uri = f"{objects.root}/logs/one.log"
    objects.put(uri, b"0123456789")
    with objects.open_at(uri, start) as stream:
        assert stream.read(100) == rest
    with pytest.raises(NotFound):
        objects.open_at(f"{objects.root}/logs/none.log", start)


def http(objects: ObjectStore, method: str, url: str, **kwargs: Any) -> tuple[int, bytes]:
    """A request to a signed URL: over the network to S3, through the view for the local store."""
    if isinstance(objects, LocalStore):
        headers = kwargs.get("headers", {})
        response = Client(headers=headers).generic(
            method, urlsplit(url).path, kwargs.get("data", b""), content_type="application/octet-stream"
        )
        return response.status_code, response.getvalue()
    answer = requests.request(method, url, timeout=10, **kwargs)
    return answer.status_code, answer.content


def test_it_returns_what_was_put(objects: ObjectStore) -> None:
    uri = objects.join(objects.root, "metadata", "a b", "outputs.pb")
    objects.put(uri, b"one")
    objects.put(uri, b"two")
    assert objects.get(uri) == b"two"
    assert objects.exists(uri)
    assert objects.size(uri) == 3
    with objects.open(uri) as stream:
        assert stream.read(1) == b"t"


def test_it_stores_a_file(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100_000)
    objects.put_file(f"{objects.root}/logs/one.log", str(tmp_path / "log"))
    assert objects.size(f"{objects.root}/logs/one.log") == 100_000


def test_it_says_what_is_missing(objects: ObjectStore) -> None:
    uri = f"{objects.root}/nothing"
    assert not objects.exists(uri)
    with pytest.raises(NotFound, match="nothing"):
        objects.get(uri)
    with pytest.raises(NotFound, match="nothing"):
        objects.size(uri)
    objects.delete(uri)


def test_it_lists_a_folder_and_not_its_namesakes(objects: ObjectStore) -> None:
    for name in ("a/1", "a/b/2", "ab/3"):
        objects.put(f"{objects.root}/{name}", b"12")
    assert [stored.uri for stored in objects.list(f"{objects.root}/a")] == [
        f"{objects.root}/a/1",
        f"{objects.root}/a/b/2",
    ]
    assert {stored.size for stored in objects.list(objects.root)} == {2}
    assert list(objects.list(f"{objects.root}/none")) == []


def test_it_deletes(objects: ObjectStore) -> None:
    uri = f"{objects.root}/gone"
    objects.put(uri, b"")
    objects.delete(uri)
    assert not objects.exists(uri)


@pytest.mark.parametrize(
    "bad", ["/../secret", "/a/../../secret", "/a//b", "/./a", "/..", "/a\x00b", "/a\nb", "", "/", "-elsewhere/a"]
)
def test_it_refuses_what_is_not_under_its_root(objects: ObjectStore, bad: str) -> None:
    for act in (objects.get, objects.delete, objects.exists, objects.size):
        with pytest.raises(InvalidArgument):
            act(objects.root + bad)
    assert not objects.contains(objects.root + bad)


def test_it_signs_downloads(objects: ObjectStore) -> None:
    uri = f"{objects.root}/folder/data.bin"
    objects.put(uri, b"0123456789")
    url = objects.signed_get(uri, expires=MINUTE, filename="résumé.bin")
    assert http(objects, "GET", url) == (200, b"0123456789")
    assert http(objects, "GET", url, headers={"Range": "bytes=2-4"}) == (206, b"234")
    if isinstance(objects, LocalStore):  # the S3 endpoint of the tests does not check signatures
        assert http(objects, "PUT", url, data=b"x")[0] == 403
        assert http(objects, "GET", url.replace("objects/", "objects/x"))[0] == 403


def test_it_signs_uploads_that_must_match_their_digest(objects: ObjectStore) -> None:
    uri = f"{objects.root}/uploads/code.tar.gz"
    digest = hashlib.md5(b"content", usedforsecurity=False).digest()
    url, headers = objects.signed_put(uri, expires=MINUTE, content_md5=digest)
    assert headers == {"Content-MD5": b64encode(digest).decode()}
    if isinstance(objects, LocalStore):  # the S3 endpoint of the tests does not check digests
        assert http(objects, "PUT", url, data=b"forgery", headers=headers)[0] == 400
        assert not objects.exists(uri)
    assert http(objects, "PUT", url, data=b"content", headers=headers)[0] == 200
    assert objects.get(uri) == b"content"


def test_it_puts_parts_together(objects: ObjectStore) -> None:
    uri = f"{objects.root}/artifacts/p/d/some/data.bin"
    content = b"a" * 5_300_000 + b"b" * 100
    digest = hashlib.sha256(content).hexdigest()
    upload = objects.begin_parts(uri)
    for number, data in ((2, content[5_300_000:]), (1, content[:5_300_000])):
        url = objects.signed_part(uri, upload, number, size=len(data), expires=MINUTE)
        assert http(objects, "PUT", url, data=data)[0] == 200
        assert objects.begin_parts(uri) == upload
    assert objects.parts(uri, upload) == {1: 5_300_000, 2: 100}
    assert not objects.exists(uri)
    assert list(objects.list(objects.root)) == []
    objects.finish_parts(uri, upload, sha256=digest)
    assert objects.sha256(uri) == digest
    assert len(list(objects.list(objects.root))) == 1


def test_it_keeps_nothing_of_wrong_parts(objects: ObjectStore) -> None:
    uri = f"{objects.root}/artifacts/p/d/some/data.bin"
    upload = objects.begin_parts(uri)
    assert http(objects, "PUT", objects.signed_part(uri, upload, 1, size=3, expires=MINUTE), data=b"abc")[0] == 200
    with pytest.raises(InvalidArgument, match="SHA-256"):
        objects.finish_parts(uri, upload, sha256="0" * 64)
    assert list(objects.list(objects.root)) == []
    again = objects.begin_parts(uri)
    assert objects.parts(uri, again) == {}
    objects.finish_parts(uri, again, sha256=hashlib.sha256(b"").hexdigest())
    assert objects.get(uri) == b""


def test_what_nobody_saw_checked_is_checked_when_it_is_asked_for_again(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever completes an upload may be killed between putting it together and reading it."""
    monkeypatch.setattr("artifacts.uploads.store", lambda: objects)
    for content, announced in ((b"right", b"right"), (b"wrong", b"right")):
        file = File("data.bin", len(announced), hashlib.sha256(announced).hexdigest())
        around: dict[str, Any] = {"folder": False, "project": "p", "domain": "d"}
        (begun,) = upload([file], **around).files
        assert http(objects, "PUT", begun.parts[0].url, data=content)[0] == 200
        with monkeypatch.context() as killed:
            killed.setattr(type(objects), "check", Mock(side_effect=KeyboardInterrupt))
            killed.setattr("artifacts.store.local.check_sha256", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                complete([file], **around)
        (again,) = upload([file], **around).files
        assert not again.done
        for part in again.parts:  # the local store begins again
            http(objects, "PUT", part.url, data=content)
        if content == announced:
            assert complete([file], **around).done
            objects.delete(begun.uri)
        else:
            with pytest.raises(InvalidArgument, match="SHA-256"):
                complete([file], **around)
        assert list(objects.list(objects.root)) == []


def test_it_drops_abandoned_parts(objects: ObjectStore) -> None:
    uri = f"{objects.root}/artifacts/p/d/some/data.bin"
    upload = objects.begin_parts(uri)
    http(objects, "PUT", objects.signed_part(uri, upload, 1, size=3, expires=MINUTE), data=b"abc")
    # moto says of every upload that it was begun in 2010
    assert objects.drop_abandoned_parts(datetime(2009, 1, 1, tzinfo=timezone.utc)) == 0
    assert objects.drop_abandoned_parts(datetime.now(timezone.utc) + timedelta(days=1)) == 1
    objects.abort_parts(uri, upload)
    assert objects.parts(uri, objects.begin_parts(uri)) == {}


NAMES = ["error.pb", "a b", "a+b", "100%25", "é☃", "&amp;<x>", "-", ".hidden", "folder", "deck.html"]


@pytest.mark.parametrize("folder", ["metadata/p/d/e/n0/0", "raw/p/d/é +%2F", "x", "metadata/p/d"])
@pytest.mark.parametrize("end", ["", "/"])
def test_those_among_some_names_are_those_that_exist(objects: ObjectStore, folder: str, end: str) -> None:
    prefix = f"{objects.root}/{folder}"
    assert objects.among(f"{prefix}{end}", NAMES) == set()
    for name in [*NAMES[1::2], "folder/inside", "another"]:
        if name != "folder":
            objects.put(f"{prefix}/{name}", b"" if name == "-" else b"x")
    found = objects.among(f"{prefix}{end}", NAMES)
    assert found == {name for name in NAMES if objects.exists(objects.join(f"{prefix}{end}", name))}
    assert found == set(NAMES[1::2])
    assert objects.among(f"{prefix}/another{end}", NAMES) == set()  # it is no folder
    assert objects.among(prefix, []) == set()


def test_those_among_some_names_are_found_in_a_large_folder(s3_store: ObjectStore) -> None:
    for number in range(1001):
        s3_store.put(f"{s3_store.root}/f/{number:04}", b"")
    s3_store.put(f"{s3_store.root}/f/outputs.pb", b"x")
    assert s3_store.among(f"{s3_store.root}/f", ["outputs.pb", "error.pb", "0000"]) == {"outputs.pb", "0000"}
