"""Which Python an image stands for: named, built of its ImageSpec, named without its tag, or our own."""

from __future__ import annotations

import sys
from pathlib import Path

from causeway.images import pin_of

from scheduler.executors.local.environments import python_for

IMAGE = "lab:abc"


def built(folder: Path, image: str, digest: str = "d1") -> str:
    (folder / digest).mkdir(parents=True)
    (folder / digest / "ready").touch()
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / pin_of(image)).symlink_to(Path("..", digest))
    return str(folder / digest / "bin" / "python")


def test_what_was_built_of_it_is_found_and_noted_as_used(tmp_path: Path) -> None:
    python = built(tmp_path, IMAGE)
    assert python_for(IMAGE, {}, tmp_path) == python
    assert (tmp_path / "d1" / "used").exists()
    assert python_for("lab:other", {}, tmp_path) == sys.executable
    assert python_for("", {}, tmp_path) == sys.executable
    assert python_for(IMAGE, {}, tmp_path / "not there") == sys.executable


def test_its_exact_name_in_the_settings_goes_before_and_its_repository_after(tmp_path: Path) -> None:
    python = built(tmp_path, IMAGE)
    assert python_for(IMAGE, {IMAGE: "/own"}, tmp_path) == "/own"
    assert python_for(IMAGE, {"lab": "/own"}, tmp_path) == python
    assert python_for("lab:other", {"lab": "/own"}, tmp_path) == "/own"


def test_one_that_is_not_whole_is_not_taken(tmp_path: Path) -> None:
    built(tmp_path, IMAGE)
    (tmp_path / "d1" / "ready").unlink()
    assert python_for(IMAGE, {}, tmp_path) == sys.executable
