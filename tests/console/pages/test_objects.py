"""Pages of a version's object: its tree, what is in its files, and that nothing in them can act as us."""

from __future__ import annotations

import gc
import io
import zipfile
from collections.abc import Callable

import pytest
from django.test import Client

from artifacts.models import ArtifactVersion, Kind
from artifacts.store import store
from console.accounts.models import User
from console.pages import object_files
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
FILES = {
    "a.csv": b"city,count\nSeattle,4\n",
    "notes/readme.md": b"# Hello\n<script>alert(1)</script>\n",
    "notes/page.html": b"<html><script>alert(1)</script></html>",
    "plots/roc.png": b"\x89PNG\r\n\x1a\n" + b"\x00" * 20,
    "plots/deep/bell.wav": b"RIFF\x00\x00\x00\x00WAVEfmt " + b"\x00" * 20,
    "_SUCCESS": b"",
}


@pytest.fixture
def folder(world: World) -> ArtifactVersion:
    uri = store().join(store().root, "raw", "demo", "looked-into")
    for path, data in FILES.items():
        store().put(store().join(uri, path), data)
    return make_version("folder", Kind.DIRECTORY, number=1, uri=uri)


def seen(client: Client, version: ArtifactVersion, path: str) -> str:
    answer = client.get(f"/artifacts/versions/{version.pk}/object/preview/?file={path}", headers=HTMX)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_shows_a_tree_with_sizes_and_asks_for_the_first_file(
    world: World, browse: Browse, folder: ArtifactVersion
) -> None:
    answer = browse(world.admin).get(f"/artifacts/versions/{folder.pk}/object/")
    tree = answer.context["tree"]

    assert (tree.count, tree.size) == (6, sum(map(len, FILES.values())))
    assert sorted(tree.folders) == ["notes", "plots"] and tree.folders["plots"].folders["deep"].count == 1
    assert "preview/?file=a.csv" in answer.content.decode()


def test_it_shows_tables_and_text(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    client = browse(world.admin)
    page = seen(client, folder, "a.csv")
    assert "Seattle" in page and "int64" in page and "<html" not in page
    assert "<title>" in client.get(f"/artifacts/versions/{folder.pk}/object/preview/?file=a.csv").content.decode()


def test_nothing_of_a_file_becomes_markup(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    client = browse(world.admin)
    html, markdown = seen(client, folder, "notes/page.html"), seen(client, folder, "notes/readme.md")
    assert "&lt;script&gt;alert(1)" in html and "<script>alert" not in html
    assert "Hello</h1>" in markdown and "<script>alert" not in markdown


def test_pictures_and_sounds_come_confined(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    client = browse(world.admin)
    for path, kind, element in (("plots/roc.png", "image/png", "<img"), ("plots/deep/bell.wav", "audio/wav", "<audio")):
        page = seen(client, folder, path)
        source = page[page.index(element) :].split('src="')[1].split('"')[0]
        answer = client.get(source)
        assert answer["Content-Type"] == kind and "sandbox" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_all_files_come_as_one_archive(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    answer = browse(world.admin).get(f"/artifacts/versions/{folder.pk}/object/all/")

    assert answer["Content-Disposition"] == 'attachment; filename="folder-e1.n0.0.o0.zip"'
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))  # type: ignore[attr-defined]
    assert {name: archive.read(name) for name in archive.namelist()} == FILES
    assert archive.testzip() is None


def test_archives_have_turns_and_a_most(
    world: World, browse: Browse, folder: ArtifactVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, address = browse(world.admin), f"/artifacts/versions/{folder.pk}/object/all/"
    monkeypatch.setattr(object_files, "FILES_PACKED", 5)
    assert client.get(address).status_code == 429
    monkeypatch.setattr(object_files, "FILES_PACKED", 6)
    for _ in range(object_files.PACKED_AT_ONCE):
        assert object_files._turns.acquire(blocking=False)
    refused = client.get(address)
    for _ in range(object_files.PACKED_AT_ONCE):
        object_files._turns.release()
    assert refused.status_code == 429 and "being sent just now" in refused.content.decode()
    for _ in range(object_files.PACKED_AT_ONCE + 1):  # each gives its turn back
        assert b"".join(client.get(address).streaming_content)  # type: ignore[attr-defined]


def test_an_archive_nobody_reads_gives_its_turn_back(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    for pieces in (0, 1) * object_files.PACKED_AT_ONCE:  # as Django does when a reader leaves
        archive = object_files.packed(folder.uri)
        assert len([piece for piece, _ in zip(archive, range(pieces), strict=False) if piece]) == pieces
        archive.close()
        archive.close()  # gives no second one
    for _ in range(object_files.PACKED_AT_ONCE + 1):
        answer = browse(world.admin).get(f"/artifacts/versions/{folder.pk}/object/all/")
        assert answer.status_code == 200
        del answer
        gc.collect()
    assert object_files._turns._value == object_files.PACKED_AT_ONCE


def test_only_files_of_the_version_are_shown(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    client = browse(world.admin)
    for path in ("../ml-model-5.bin", "/etc/passwd", "%2e%2e/x", "nothing.txt"):
        address = f"/artifacts/versions/{folder.pk}/object/preview/?file={path}"
        assert client.get(address).status_code in (400, 404), path
    for tab in ("", "preview/", "all/"):
        assert browse(world.outsider).get(f"/artifacts/versions/{folder.pk}/object/{tab}").status_code == 404


def test_an_inline_value_has_no_files(world: World, browse: Browse) -> None:
    version = make_version("inline", Kind.VALUE, number=1, uri="")
    client = browse(world.admin)
    assert "inline: the value itself" in client.get(f"/artifacts/versions/{version.pk}/object/").content.decode()
    assert client.get(f"/artifacts/versions/{version.pk}/object/preview/").status_code == 404


def test_rest_shows_the_same(world: World, browse: Browse, folder: ArtifactVersion) -> None:
    found = browse(world.admin).get(
        f"/api/v1/artifacts/demo/development/folder/versions/{folder.version}/preview?file=a.csv"
    )
    assert found.json()["rows"] == [["Seattle", "4"]] and found.json()["kind"] == "csv"
