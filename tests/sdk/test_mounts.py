"""Data that a machine keeps once: copied by the first task alone, read-only, another entry once it has changed."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from causeway import mounts
from causeway.mounts import mounted
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

from tests.sdk.conftest import PICTURES as URI


def test_of_many_that_start_together_one_copies(downloads: list[str]) -> None:
    found: list[Path] = []
    tasks = [threading.Thread(target=lambda: found.append(mounted(FlyteDirectory(URI)))) for _ in range(6)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert len(set(found)) == 1 and len(found) == 6 and len(downloads) == 2
    assert (found[0] / "deep" / "b.txt").read_text() == "deep/b.txt"
    assert mounted(URI) == found[0] and len(downloads) == 2


def test_nobody_can_write_into_it(downloads: list[str]) -> None:
    folder = mounted(URI)
    for path in (folder, folder / "deep", folder / "a.txt"):
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def test_a_single_file_keeps_its_name(downloads: list[str]) -> None:
    file = mounted(FlyteFile(f"{URI}/a.txt"))
    assert (file.name, file.read_text()) == ("a.txt", "a.txt")


def test_what_changed_under_one_address_is_another_entry(store: Any, downloads: list[str]) -> None:
    before = mounted(URI)
    store.pipe("/bucket/pictures/a.txt", b"changed")
    after = mounted(URI)
    assert after != before and (after / "a.txt").read_text() == "changed"
    assert (before / "a.txt").read_text() == "a.txt"


def test_a_copy_that_broke_off_is_made_again(store: Any, downloads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = type(store).get_file

    def breaks_off(self: Any, source: str, target: str, **options: Any) -> None:
        if source.endswith("b.txt"):
            raise OSError("the network went away")
        original(self, source, target, **options)

    monkeypatch.setattr(type(store), "get_file", breaks_off)
    with pytest.raises(OSError, match="went away"):
        mounted(URI)
    root = Path(os.environ["CAUSEWAY_MOUNTS_DIR"])
    assert not list(root.glob("*/*")) and not list(root.glob(".partial-*"))
    monkeypatch.setattr(type(store), "get_file", original)
    assert (mounted(URI) / "deep" / "b.txt").exists()


def test_what_nobody_used_goes_when_something_else_comes(downloads: list[str]) -> None:
    old = mounted(URI).parent
    for name in (mounts.READY, mounts.USED):
        os.utime(old / name, (1, 1))
    new = mounted(f"{URI}/a.txt")
    assert not old.exists() and new.exists()


def test_what_is_on_this_machine_is_used_where_it_is(downloads: list[str], tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("x")
    assert mounted(FlyteFile(str(tmp_path / "here.txt"))) == tmp_path / "here.txt"
    for uri in (str(tmp_path / "not"), "memory://bucket/not"):
        with pytest.raises(FileNotFoundError, match="there is nothing at"):
            mounted(uri)
    assert not downloads


def test_what_would_lie_outside_of_the_folder_is_refused(store: Any, downloads: list[str]) -> None:
    store.store["/bucket/pictures/../../../escaped"] = store.store["/bucket/pictures/a.txt"]
    with pytest.raises(ValueError, match="would not lie in its folder"):
        mounted(URI)
    assert downloads == []
