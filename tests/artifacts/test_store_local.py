"""What only the local store has: files, and signed URLs served by the web process."""

from __future__ import annotations

import errno
import io
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from artifacts.exceptions import NotFound
from artifacts.store import LocalStore, open_store, store
from artifacts.store.folders import Folders, KeptOpen

MINUTE = timedelta(minutes=1)


@pytest.fixture
def local(tmp_path: Path, settings: Settings) -> LocalStore:
    settings.CAUSEWAY_STORE_URL = f"file://{tmp_path}/objects"
    opened = open_store(settings.CAUSEWAY_STORE_URL)
    assert isinstance(opened, LocalStore)
    return opened


def put(url: str, data: bytes, **headers: str) -> Any:
    return Client(enforce_csrf_checks=True, headers=headers).put(
        urlsplit(url).path, data, content_type="application/octet-stream"
    )


def get(url: str, **headers: str) -> Any:
    return Client(headers=headers).get(urlsplit(url).path)


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EDQUOT])
def test_a_signed_upload_to_a_full_store_is_told_so(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(problem, os.strerror(problem))

    real = type(local).write
    monkeypatch.setattr(type(local), "write", lambda self, uri, fill: real(self, uri, lambda file: fill(Full())))
    url, _ = local.signed_put(f"{local.root}/a", expires=timedelta(minutes=1))
    response = put(url, b"x" * 1000)
    assert response.status_code == 507 and response["Content-Type"] == "application/problem+json"
    assert "full" in response.json()["detail"] and not local.exists(f"{local.root}/a")
    assert list(local.list(local.root)) == []


def test_it_is_opened_once(settings: Settings, tmp_path: Path) -> None:
    settings.CAUSEWAY_STORE_URL = f"file://{tmp_path}"
    assert store() is store()


def test_it_takes_paths_with_and_without_scheme(local: LocalStore, tmp_path: Path) -> None:
    assert local.root == f"{tmp_path}/objects"
    local.put(f"file://{tmp_path}/objects/a", b"a")
    assert local.get(f"{tmp_path}/objects/a") == b"a"
    assert [stored.uri for stored in local.list(f"file://{local.root}")] == [f"{tmp_path}/objects/a"]


def test_it_refuses_a_scheme_it_does_not_know() -> None:
    with pytest.raises(ImproperlyConfigured, match="ftp://"):
        open_store("ftp://host/path")


def test_it_does_not_follow_links_out_of_its_directory(local: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    local.put(f"{local.root}/a", b"")
    os.symlink(tmp_path / "secret", local.directory / "link")
    with pytest.raises(NotFound):
        local.get(f"{local.root}/link")
    assert not local.exists(f"{local.root}/link")


def test_it_leaves_nothing_behind_when_a_write_fails(local: LocalStore) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        local.write(f"{local.root}/folder/a", fail)
    assert os.listdir(local.directory / "folder") == []


def test_it_refuses_an_upload_that_is_too_large(local: LocalStore) -> None:
    url, _ = local.signed_put(f"{local.root}/u", expires=MINUTE, max_bytes=4)
    response = put(url, b"12345")
    assert response.status_code == 413
    assert response["Content-Type"] == "application/problem+json"
    assert not local.exists(f"{local.root}/u")
    assert put(url, b"1234").status_code == 200


def test_it_checks_the_digest_the_client_sends(local: LocalStore) -> None:
    url, headers = local.signed_put(f"{local.root}/u", expires=MINUTE)
    assert headers == {}
    assert put(url, b"abc", **{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}).status_code == 400
    assert not local.exists(f"{local.root}/u")


def test_it_refuses_a_link_that_has_expired(local: LocalStore) -> None:
    local.put(f"{local.root}/a", b"a")
    response = get(local.signed_get(f"{local.root}/a", expires=timedelta(seconds=-1)))
    assert response.status_code == 403
    assert "expired" in response.json()["detail"]


def test_it_sends_files_that_a_browser_cannot_run(local: LocalStore) -> None:
    local.put(f"{local.root}/deck.html", b"<script>alert(1)</script>")
    response = get(local.signed_get(f"{local.root}/deck.html", expires=MINUTE, filename='a"b.html'))
    assert response["Content-Disposition"].startswith("attachment")
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert int(response["Content-Length"]) == len(response.getvalue())


@pytest.mark.parametrize(("asked", "body"), [("bytes=-2", b"89"), ("bytes=7-", b"789"), ("bytes=2-99", b"23456789")])
def test_it_serves_ranges(local: LocalStore, asked: str, body: bytes) -> None:
    local.put(f"{local.root}/n", b"0123456789")
    response = get(local.signed_get(f"{local.root}/n", expires=MINUTE), Range=asked)
    assert (response.status_code, response.getvalue()) == (206, body)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_it_refuses_ranges_that_the_object_does_not_have(local: LocalStore, asked: str) -> None:
    local.put(f"{local.root}/n", b"0123456789")
    response = get(local.signed_get(f"{local.root}/n", expires=MINUTE), Range=asked)
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */10")


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,3-4", "bytes=-", "lines=1-2", f"bytes={'9' * 5000}-"])
def test_it_sends_the_whole_object_for_ranges_it_does_not_understand(local: LocalStore, asked: str) -> None:
    local.put(f"{local.root}/n", b"0123456789")
    response = get(local.signed_get(f"{local.root}/n", expires=MINUTE), Range=asked)
    assert (response.status_code, response.getvalue()) == (200, b"0123456789")


def test_it_sends_no_part_of_another_object_than_the_client_began_with(local: LocalStore) -> None:
    local.put(f"{local.root}/n", b"0123456789")
    url = local.signed_get(f"{local.root}/n", expires=MINUTE)
    first = get(url)
    assert first.getvalue() == b"0123456789"
    for known in (first["ETag"], first["Last-Modified"]):
        assert get(url, Range="bytes=8-", **{"If-Range": known}).getvalue() == b"89"
    local.put(f"{local.root}/n", b"another one")
    changed = get(url, Range="bytes=8-", **{"If-Range": first["ETag"]})
    assert (changed.status_code, changed.getvalue()) == (200, b"another one")


def test_it_answers_404_for_an_object_that_is_gone(local: LocalStore) -> None:
    assert get(local.signed_get(f"{local.root}/gone", expires=MINUTE)).status_code == 404


def test_a_project_s_folder_that_is_replaced_is_looked_for_again(local: LocalStore) -> None:
    """By whoever moves it away: what is written then is where it belongs, not in the one that was moved."""
    folder, uri = local.directory / "raw/p/d", f"{local.root}/raw/p/d/e/x"
    local.put(uri, b"before")
    assert local.get(uri) == b"before"
    folder.rename(folder.with_name("moved"))
    assert not local.exists(uri)
    local.put(uri, b"after")
    assert (folder / "e/x").read_bytes() == b"after"
    assert (folder.with_name("moved") / "e/x").read_bytes() == b"before"
    shutil.rmtree(folder)
    assert not local.exists(uri)
    folder.symlink_to(folder.with_name("moved"))
    with pytest.raises(NotFound):
        local.get(uri)
    assert local.among(f"{local.root}/raw/p/d/e", ["x"]) == set()


def test_the_last_descriptor_is_enough(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(fd: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "dup", none_left)
    local.put(uri := f"{local.root}/raw/p/d/e/x", b"x")
    assert local.get(uri) == b"x"


def test_kept_descriptors_are_few_and_go_with_the_store(local: LocalStore) -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = held()
    for number in range(3 * KeptOpen.MOST):
        local.put(uri := f"{local.root}/raw/p{number}/d/e/x", b"x")
        assert local.exists(uri)
    assert before < held() <= before + KeptOpen.MOST
    local.folders = Folders(local.directory, None)
    assert held() == before
