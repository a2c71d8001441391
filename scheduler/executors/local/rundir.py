"""The run directory of an attempt (see zygote/child.py for its files), seen from the executor's side."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.executors.local.zygote.child import SECRETS, born

GONE = ".gone"  # at the end of the name of a directory that is being removed


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

    def prepare(self, spec: Mapping[str, Any], code: Path | None, *, secrets: str = "") -> None:
        """Make it, with links to the user's files in `work`: relative paths are found, and new files stay here.

        `secrets`: Mounts.as_json. Its file is nobody else's to read, and the task's process removes it at once.
        """
        work = self.path / "work"
        work.mkdir(parents=True, exist_ok=True)
        (self.path / "tmp").mkdir(exist_ok=True)
        if code is not None:
            for entry in os.scandir(code):
                link = work / entry.name
                if not os.path.lexists(link):
                    os.symlink(entry.path, link)
        if secrets:
            given = self.path / SECRETS
            given.unlink(missing_ok=True)
            with os.fdopen(os.open(given, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
                file.write(secrets)
        partial = self.path / "spec.json.partial"
        partial.write_text(json.dumps(spec))
        partial.rename(self.path / "spec.json")

    def process(self) -> Process | None:
        """The process that took the attempt, if one did."""
        try:
            return Process.parse((self.path / "started").read_text())
        except FileNotFoundError:
            return None

    def working(self) -> Process | None:
        """That process while it is at it: a shared one lives on, with other attempts, when it has left a result.

        In a directory that is being removed the result may be gone already.
        """
        process = self.process() if self.path.suffix != GONE else None
        return process if process is not None and process.alive() and self.result() is None else None

    def started_at(self) -> float | None:
        """When, in seconds since the epoch."""
        try:
            return (self.path / "started").stat().st_mtime
        except FileNotFoundError:
            return None

    def result(self) -> int | None:
        """The exit code, or minus the signal; None while there is none."""
        try:
            return int(json.loads((self.path / "done").read_text())["status"])
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def disk_was_full(self) -> bool:
        """Whether the process that left the result could not write something else for want of room."""
        try:
            return bool(json.loads((self.path / "done").read_text()).get("full"))
        except (FileNotFoundError, ValueError, AttributeError):
            return False

    def gpus(self) -> tuple[int, ...]:
        """The devices that its process was given."""
        try:
            env = json.loads((self.path / "spec.json").read_text())["env"]
            return tuple(int(number) for number in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if number)
        except (FileNotFoundError, ValueError, KeyError):
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
