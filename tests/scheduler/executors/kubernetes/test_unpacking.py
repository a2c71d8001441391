"""A code package in a task's folder: whichever way it is unpacked, what is there is what `tar` leaves."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from scheduler.executors.kubernetes.runner.pod import main


def packed(folder: Path, name: str = "") -> Path:
    """With a program, something executable, a link and an empty folder; `name`: of one file more."""
    (source := folder / "source").mkdir()
    (source / "work").mkdir()
    (source / "empty").mkdir()
    (source / "work" / "boat.py").write_text("n = 1\n")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o775)
    (source / "link.py").symlink_to("work/boat.py")
    with tarfile.open(path := folder / "code.tar.gz", "w:gz") as archive:
        archive.add(source, "", filter=lambda one: one.replace(uid=0, gid=0, uname="", gname="", deep=False))
        if name:
            archive.addfile(tarfile.TarInfo(name))
    return path


def tree(folder: Path) -> dict[str, tuple[int, object]]:
    return {
        str(one.relative_to(folder)): (
            one.lstat().st_mode,
            one.readlink() if one.is_symlink() else one.read_bytes() if one.is_file() else None,
        )
        for one in folder.rglob("*")
    }


def test_a_small_package_is_unpacked_as_tar_does(tmp_path: Path) -> None:
    path = packed(tmp_path)
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    # As the users of images do: who is root keeps what a umask would take away
    subprocess.run(["tar", "--no-same-permissions", "-xf", path, "-C", tmp_path / "theirs"], check=True)
    main._unpack(str(path), str(tmp_path / "ours"))
    assert tree(tmp_path / "ours") == tree(tmp_path / "theirs") and "work/boat.py" in tree(tmp_path / "ours")


def test_nothing_is_unpacked_outside_of_the_folder(tmp_path: Path) -> None:
    path = packed(tmp_path, "../outside")
    (tmp_path / "ours").mkdir()
    with pytest.raises(tarfile.TarError):
        main._unpack(str(path), str(tmp_path / "ours"))
    assert not (tmp_path / "outside").exists()
