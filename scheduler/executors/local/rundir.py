"""The run directory of an attempt (see zygote/child.py for its files), seen from the executor's side."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from artifacts.store.folders import open_regular
from artifacts.task_users import Identity
from scheduler.executors.local.zygote.child import SECRETS, born

MOST_READ = 4096  # bytes of what a task says about itself
MOST_STATUS = 1 << 31  # of an exit code
LATEST = 4e9  # seconds since the epoch that it can have begun
GONE = ".gone"  # at the end of the name of a directory that is being removed


def is_run_by(pid: int, uid: int) -> bool:
    """Whether the process is there and its real user is that one."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Uid:")) == uid
    except (OSError, StopIteration):
        return False


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    born: int

    @classmethod
    def parse(cls, handle: str) -> Process | None:
        pid, _, since = handle.partition(":")
        return cls(int(pid), int(since)) if pid.isdigit() and since.isdigit() else None

    @property
    def handle(self) -> str:
        return f"{self.pid}:{self.born}"

    def alive(self) -> bool:
        """Running; a zombie, whose zygote has yet to collect it, is not."""
        try:
            with open(f"/proc/{self.pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return int(fields[19]) == self.born and fields[0] not in "ZX"


@dataclass(frozen=True)
class RunDirectory:
    path: Path

    @classmethod
    def of(cls, runs: Path, attempt_id: int, name: str) -> RunDirectory:
        """Named for the id, to be found by people, and the name, because ids start again in a new database."""
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        return cls(runs / f"{attempt_id}-{digest}")

    @property
    def log(self) -> Path:
        return self.path / "log"

    def prepare(
        self, spec: Mapping[str, Any], code: Path | None, *, secrets: str = "", user: Identity | None = None
    ) -> None:
        """Make it, with links to the user's files in `work`: relative paths are found, and new files stay here.

        `user` owns the folders in it. The directory itself stays ours: what we wrote there nobody can replace.
        `secrets`: Mounts.as_json. Its file is nobody else's to read, and the task's process removes it at once.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("work", "tmp"):
            if self._make_folder(name) and name == "work" and code is not None:
                for entry in os.scandir(code):
                    if not os.path.lexists(link := self.path / "work" / entry.name):
                        os.symlink(entry.path, link)
            if user is not None:
                os.chown(self.path / name, user.uid, user.gid, follow_symlinks=False)
        self._tell(spec, secrets, user, partial(self._put, reader=user))
        if user is not None:
            os.chown(self.path, -1, user.gid)
            self.path.chmod(0o1770)  # sticky

    def prepare_again(self, spec: Mapping[str, Any], *, secrets: str = "", user: Identity | None = None) -> None:
        """As `prepare`, of one that was made for the same user and code and that no process knows."""
        self._tell(spec, secrets, user, self._put_again)

    def _tell(
        self, spec: Mapping[str, Any], secrets: str, user: Identity | None, put: Callable[[str, str], None]
    ) -> None:
        if secrets:
            self._put(SECRETS, secrets, owner=user)
        put("spec.json", json.dumps({**spec, "uid": user.uid} if user is not None else spec))

    def _put(self, name: str, text: str, *, owner: Identity | None = None, reader: Identity | None = None) -> None:
        """A file in place of whatever had the name: the owner's alone, who may remove it, or ours for the reader."""
        fd, partial = tempfile.mkstemp(prefix=f".{name}-", dir=self.path)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            if owner is not None:
                os.fchown(fd, owner.uid, owner.gid)
            if reader is not None:
                os.fchown(fd, -1, reader.gid)
                os.fchmod(fd, 0o640)
        os.replace(partial, self.path / name)

    def _put_again(self, name: str, text: str) -> None:
        """Into the file that is there: to make a file costs more than to write it. OSError if it is no file of ours."""
        fd = os.open(self.path / name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1 or about.st_uid != os.geteuid():
                raise FileNotFoundError(name)
            file.write(text)
            file.truncate()  # last: what it takes on the disk stays as it is

    def _make_folder(self, name: str) -> bool:
        """Whether it is ours still: of one that a task had in its hands nothing is known."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.path / name, 0o700)
        return os.lstat(self.path / name).st_uid == os.geteuid()

    def _read(self, name: str) -> str:
        """Of a file that a task may have put there. FileNotFoundError for whatever is no small file."""
        try:
            with open_regular(self.path / name) as file:
                return file.read(MOST_READ).decode(errors="replace")
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise FileNotFoundError(name) from error

    def told(self) -> dict[str, Any]:
        """What its process was told (`spec.json`, which is ours); empty: nothing yet."""
        try:
            return dict(json.loads((self.path / "spec.json").read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def uid(self) -> int | None:
        """Whom its process runs as; None: as ourselves."""
        uid = self.told().get("uid")
        return int(uid) if uid is not None else None

    def process(self) -> Process | None:
        """The process that took the attempt, if one did. One of another user did not, whatever the file says."""
        try:
            process = Process.parse(":".join(self._started()[:2]))
        except FileNotFoundError:
            return None
        uid = self.uid()
        if process is not None and uid is not None and process.alive() and not is_run_by(process.pid, uid):
            return None
        return process

    def working(self) -> Process | None:
        """That process while it is at it: a shared one lives on, with other attempts, when it has left a result.

        In a directory that is being removed the result may be gone already.
        """
        process = self.process() if self.path.suffix != GONE else None
        return process if process is not None and process.alive() and self.result() is None else None

    def _started(self) -> list[str]:
        """What the process that took the attempt says of itself: pid, when it was born, when it began."""
        return self._read("started").partition("\n")[0].split(":")

    def started_at(self) -> float | None:
        """When, in seconds since the epoch."""
        try:
            said, changed = self._started(), (self.path / "started").lstat().st_mtime
        except FileNotFoundError:
            return None
        with contextlib.suppress(ValueError, IndexError):
            if 0 < (since := float(said[2])) < LATEST:
                return since
        return min(max(changed, 0.0), LATEST)  # a task can say, and set, what it likes

    def result(self) -> int | None:
        """The exit code, or minus the signal; None while there is none."""
        try:
            status = int(self._done()["status"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
            return None
        return status if abs(status) < MOST_STATUS else None

    def _done(self) -> Any:
        """The first that it says. ValueError if that is nothing."""
        said = self._read("done")
        try:
            return json.JSONDecoder().raw_decode(said[said.find("{") :])[0]
        except RecursionError as error:
            raise ValueError("nested too deep") from error

    def ended_at(self) -> float | None:
        """When, in seconds since the epoch, as the result says it; None: it does not."""
        try:
            at = self._done()["at"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return at if isinstance(at, int | float) and 0 < at < LATEST else None

    def ended_itself(self) -> bool:
        """Whether the process that took it came to its end, and so ended what it had started: nobody else said it."""
        try:
            return os.path.samestat(os.lstat(self.path / "started"), os.lstat(self.path / "done"))
        except OSError:
            return False

    def disk_was_full(self) -> bool:
        """Whether the process that left the result could not write something else for want of room."""
        try:
            return bool(self._done().get("full"))
        except (FileNotFoundError, ValueError, AttributeError):
            return False

    def variable(self, name: str) -> str:
        """That its process was given; empty: it was not."""
        return str(self.told().get("env", {}).get(name, ""))

    def gpus(self) -> tuple[int, ...]:
        """The devices that its process was given."""
        try:
            return tuple(int(number) for number in self.variable("CUDA_VISIBLE_DEVICES").split(",") if number)
        except ValueError:
            return ()

    def remove(self) -> None:
        """Under another name first: a zygote that collects the process may be about to write a result into it, and a
        folder that gains a file while it is emptied stays.
        """
        gone = self.path.with_name(f"{self.path.name}{GONE}")
        shutil.rmtree(gone, ignore_errors=True)  # an earlier removal may have been broken off
        with contextlib.suppress(OSError):  # it is not there
            self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


__all__ = ["Process", "RunDirectory", "born"]
