"""Clusters of Spark, Dask and Ray on this machine that tasks ask to be kept (CAUSEWAY_REUSE_CLUSTER): who shares one,
and that there are as many as tasks need. zygote/kept.py is the process of each, and ends it.

Who shares: tasks of a project and domain, of the same Python, form and own variables; of Dask, whose workers have
imported it, the same code, too. Never those that ask for secrets or GPUs, which a cluster that waits would hold.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scheduler.executors.command import own_variables
from scheduler.executors.local.identities import let_group_through
from scheduler.executors.local.means import Means
from scheduler.executors.local.pools import Pools
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.surroundings import of_any_process
from scheduler.executors.local.zygote import kept
from scheduler.executors.local.zygote.together import CLUSTERS, VARIABLE

logger = logging.getLogger(__name__)

MOST = 8  # on a machine; tasks beyond have clusters of their own, that end with them
START_SECONDS = 60.0  # in which a cluster's process appears
SHOWN_SECONDS = 30.0
ABOUT = "about.json"


@dataclass(frozen=True)
class KeptCluster:
    """One that is there, as pages show it. Times are seconds since the epoch."""

    project: str
    domain: str
    form: str  # spark, dask, ray
    image: str
    keep: int  # seconds that it waits
    since: float
    in_use: bool


class Clusters:
    """In `home`/clusters/KEY/NUMBER. Thread-safe as far as runs of one key are launched one after the other."""

    def __init__(self, means: Means, pools: Pools) -> None:
        self.means, self.pools = means, pools
        self.folder = means.home / "clusters"

    def of(self, run: Run, code: Path | None, users: Sequence[Run]) -> dict[str, str]:
        """What the run's process is told; begins a cluster where there is none for it. `users`: all runs that go on."""
        told = json.loads(run.spec.env.get(VARIABLE, "{}"))
        if not told.get("keep") or run.spec.secrets or run.gpus:
            return {}
        run.clusters = str(self._folder_of(run, told))
        folder = Path(run.clusters)
        living = [one for one in self._members(folder) if _lives(one)]
        if sum(one.clusters == run.clusters for one in users) > len(living):
            if len([one for one in self._all() if _lives(one)]) >= MOST:
                run.clusters = ""
                return {}
            self._begin(folder, run, told, code)
        return {CLUSTERS: run.clusters}

    def tick(self) -> None:
        """What has ended goes."""
        for one in self._all():
            if not _lives(one) and not _ended_lately(one):
                one.remove()
                _about_file(one).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    one.path.parent.rmdir()  # while there is none else in it

    def stop(self) -> None:
        """Those that nobody uses end with the executor; the next one finds the others."""
        for one in self._all():
            if (process := one.working()) is not None and not _in_use(one.path):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)

    def codes(self) -> set[Path]:
        """The directories that clusters import from."""
        return {Path(code) for one in self._all() if (code := one.told().get("code"))}

    def seen(self) -> list[KeptCluster]:
        return [about for one in self._all() if one.working() is not None and (about := _about(one)) is not None]

    def _begin(self, folder: Path, run: Run, told: Mapping[str, Any], code: Path | None) -> None:
        number = max((int(one.path.name) for one in self._members(folder)), default=0) + 1
        let_group_through(_made(self.folder), self.means.users)
        _made(folder)
        if run.user is not None:
            os.chown(folder, -1, run.user.gid)
            folder.chmod(0o750)  # its user looks who is there
        member = RunDirectory(folder / str(number))
        code = code if told["form"] == "dask" else None  # whose workers import it; to the others tasks bring theirs
        spec = {
            "args": [kept.PROGRAM, json.dumps(told)],
            "env": {**of_any_process(run, self.means), **_shared(run)},
            "code": str(code or ""),
            "log": str(member.log),
            "threads": max(1, round(run.assignment.resources.cpu)),
        }
        member.prepare(spec, code, user=run.user)
        place = run.spec.identity
        about = KeptCluster(
            place.project, place.domain, told["form"], run.spec.image, told["keep"], time.time(), in_use=True
        )
        _about_file(member).write_text(json.dumps(asdict(about)))
        self.pools.of(self.means.python_of(run)).run(member.path, env={}, user=run.user)
        logger.info("a %s cluster begins for %s/%s", told["form"], place.project, place.domain)

    def _folder_of(self, run: Run, told: Mapping[str, Any]) -> Path:
        who = [run.user.uid, run.user.gid] if run.user is not None else []
        code = run.plan.distribution if told["form"] == "dask" else ""
        key = [run.spec.identity.place, who, self.means.python_of(run), run.spec.image, told, _shared(run), code]
        return self.folder / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]

    def _all(self) -> Iterator[RunDirectory]:
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            yield from self._members(folder)

    def _members(self, folder: Path) -> list[RunDirectory]:
        found = [one for one in folder.iterdir() if one.name.isdigit()] if folder.is_dir() else []
        return [RunDirectory(one) for one in sorted(found, key=lambda one: int(one.name))]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _shared(run: Run) -> dict[str, str]:
    """The variables that the task declares: what differs between attempts is nothing of a cluster's."""
    return {name: value for name, value in own_variables(run.spec.env).items() if name != VARIABLE}


def _lives(member: RunDirectory) -> bool:
    if member.result() is not None:
        return False
    process = member.process()
    if process is not None:
        return process.alive()
    with contextlib.suppress(OSError):
        return time.time() - member.path.stat().st_ctime < START_SECONDS
    return False


def _ended_lately(member: RunDirectory) -> bool:
    """A task that waited for it shows what its log says."""
    with contextlib.suppress(OSError):
        return time.time() - (member.path / "done").lstat().st_mtime < SHOWN_SECONDS
    return False


def _in_use(path: Path) -> bool:
    try:
        fd = os.open(path / kept.LEASE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def _about_file(member: RunDirectory) -> Path:
    """Beside the directory, in which a cluster writes what it likes."""
    return member.path.with_name(f"{member.path.name}.{ABOUT}")


def _about(member: RunDirectory) -> KeptCluster | None:
    try:
        told = json.loads(_about_file(member).read_text())
        return KeptCluster(**{**told, "in_use": _in_use(member.path)})
    except (OSError, ValueError, TypeError):
        return None
