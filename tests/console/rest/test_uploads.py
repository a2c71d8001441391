"""Uploads in parts: started, interrupted, continued, completed, published."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from artifacts import uploads
from artifacts.exceptions import InvalidArgument
from artifacts.store import store
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/uploads/demo/development"
ARTIFACT = "/api/v1/artifacts/demo/development/dataset/versions"
CONTENT = b"0123456789" * 3


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 8)


def body(*files: tuple[str, bytes], shape: str = "file") -> dict[str, Any]:
    listed = [
        {"path": path, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in files
    ]
    return {"files": listed, "shape": shape}


def send(part: dict[str, Any], content: bytes) -> int:
    data = content[part["offset"] : part["offset"] + part["size_bytes"]]
    return put(part["url"], data)


def put(url: str, data: bytes) -> int:
    return Client().generic("PUT", urlsplit(url).path, data, content_type="application/octet-stream").status_code


def test_it_goes_on_where_an_upload_broke_off(api: Caller) -> None:
    ann, wanted = api("ann"), body(("data.csv", CONTENT))
    begun = ann.post(URL, wanted).json()
    (file,) = begun["files"]
    assert [(part["offset"], part["size_bytes"]) for part in file["parts"]] == [(0, 8), (8, 8), (16, 8), (24, 6)]
    assert send(file["parts"][2], CONTENT) == 200
    assert "3 parts" in problem(ann.post(f"{URL}/complete", wanted), 409)["detail"]

    (again,) = ann.post(URL, wanted).json()["files"]
    assert [part["done"] for part in again["parts"]] == [False, False, True, False]
    assert again["parts"][2]["url"] == ""
    for part in again["parts"]:
        if not part["done"]:
            assert send(part, CONTENT) == 200
    done = ann.post(f"{URL}/complete", wanted).json()
    assert done["done"] and done["uri"] == begun["uri"]
    assert store().get(done["uri"]) == CONTENT
    assert len(os.listdir(os.path.dirname(done["uri"]))) == 1
    assert ann.post(f"{URL}/complete", wanted).json() == done
    assert ann.post(URL, wanted).json()["done"]

    found = ann.post(ARTIFACT, {"uri": done["uri"], "format": "csv"}).json()
    assert (found["size_bytes"], found["content_hash"]) == (30, hashlib.sha256(CONTENT).hexdigest())


def test_it_refuses_content_that_was_not_announced(api: Caller) -> None:
    ann, wanted = api("ann"), body(("data.csv", CONTENT))
    (file,) = ann.post(URL, wanted).json()["files"]
    for part in file["parts"]:
        assert put(part["url"], b"x" * part["size_bytes"]) == 200
    assert "SHA-256" in problem(ann.post(f"{URL}/complete", wanted), 400)["detail"]
    assert list(store().list(store().root)) == []
    (file,) = ann.post(URL, wanted).json()["files"]
    assert not any(part["done"] for part in file["parts"])


def test_a_part_has_its_size(api: Caller) -> None:
    (file,) = api("ann").post(URL, body(("data.csv", CONTENT))).json()["files"]
    assert put(file["parts"][0]["url"], b"1234567") == 400
    assert put(file["parts"][0]["url"], b"123456789") == 413
    (file,) = api("ann").post(URL, body(("data.csv", CONTENT))).json()["files"]
    assert not file["parts"][0]["done"]


def test_it_uploads_a_folder(api: Caller) -> None:
    ann = api("ann")
    wanted = body(("a.txt", b"one"), ("sub/b.txt", b""), shape="directory")
    begun = ann.post(URL, wanted).json()
    assert [len(file["parts"]) for file in begun["files"]] == [1, 0]
    assert send(begun["files"][0]["parts"][0], b"one") == 200
    done = ann.post(f"{URL}/complete", wanted).json()
    assert [(file.uri.removeprefix(done["uri"]), file.size) for file in store().list(done["uri"])] == [
        ("/a.txt", 3),
        ("/sub/b.txt", 0),
    ]
    found = ann.post(ARTIFACT, {"uri": done["uri"], "shape": "directory"}).json()
    assert (found["size_bytes"], found["content_hash"]) == (3, done["content_hash"])


def test_it_publishes_no_unfinished_upload(api: Caller) -> None:
    begun = api("ann").post(URL, body(("data.csv", CONTENT))).json()
    problem(api("ann").post(ARTIFACT, {"uri": begun["uri"]}), 409)


def test_it_forgets_an_upload(api: Caller) -> None:
    ann, wanted = api("ann"), body(("data.csv", CONTENT))
    (file,) = ann.post(URL, wanted).json()["files"]
    send(file["parts"][0], CONTENT)
    assert ann.post(f"{URL}/abort", wanted).status_code == 204
    (file,) = ann.post(URL, wanted).json()["files"]
    assert not any(part["done"] for part in file["parts"])


def test_it_forgets_what_nobody_completed(api: Caller) -> None:
    ann, wanted = api("ann"), body(("data.csv", CONTENT))
    (file,) = ann.post(URL, wanted).json()["files"]
    send(file["parts"][0], CONTENT)
    send(file["parts"][1], CONTENT)
    assert uploads.drop_abandoned() == 0
    assert uploads.drop_abandoned(timezone.now() + timedelta(days=3)) == 1
    assert uploads.drop_abandoned(timezone.now() + timedelta(days=3)) == 0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"files": []}, "files"),
        (body(("../x", b"1")), "name"),
        (body(("a/b", b"1")), "name"),
        (body(("../x", b"1"), shape="directory"), "path"),
        (body(("/etc/passwd", b"1"), shape="directory"), "path"),
        (body(("a\\b", b"1"), shape="directory"), "path"),
        (body(("a//b", b"1"), shape="directory"), "path"),
        (body((".partial-x", b"1")), "name"),
        (body(("a\x00b", b"1")), "Null"),
        (body(("\u202egpj.exe", b"1")), "name"),
        (body(("x" * 300, b"1")), "too long"),
        (body(("a", b"1"), ("a", b"2"), shape="directory"), "twice"),
        (body(("a", b"1"), ("a/b", b"2"), shape="directory"), "file and a folder"),
        (body(("a", b"1"), ("b", b"2")), "directory"),
        ({"files": [{"path": "a", "size_bytes": -1, "sha256": "0" * 64}]}, "size_bytes"),
        ({"files": [{"path": "a", "size_bytes": 1, "sha256": "../../x"}]}, "sha256"),
        ({"files": "a"}, "files"),
    ],
)
def test_it_explains_a_bad_upload(api: Caller, wanted: dict[str, Any], said: str) -> None:
    assert said in problem(api("ann").post(URL, wanted), 400)["detail"]


def test_only_contributors_upload(api: Caller) -> None:
    for name, status in (("vic", 403), ("sue", 404)):
        for step in ("", "/complete", "/abort"):
            problem(api(name).post(URL + step, body(("a", b"1"))), status)


@given(st.text(max_size=40), st.booleans())
def test_a_path_stays_where_it_is_put(path: str, name_only: bool) -> None:
    try:
        checked = uploads.check_path(path, name_only=name_only)
    except InvalidArgument:
        return
    assert os.path.normpath(os.path.join("/some/folder", checked)) == f"/some/folder/{path}"


@given(st.integers(0, 10**6))
def test_parts_cover_a_file(size: int) -> None:
    found = uploads.spans(size)
    assert sum(part for _, part in found) == size
    assert all(offset == index * found[0][1] for index, (offset, _) in enumerate(found))
    assert len(found) <= uploads.MAX_PARTS
