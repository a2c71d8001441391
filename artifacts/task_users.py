"""As which users of the operating system tasks run, and whom their files belong to.

Started as root, tasks of each project and domain run as a user of their own out of a range of numbers. Such a user
needs no entry in /etc/passwd. All of them are in one group more, the first number of the range, which may pass through
the data directory and is allowed nothing else. Started as anybody else there is one user for everything.

The supervisor imports this before Django is set up: it knows no settings.
"""

from __future__ import annotations

import fcntl
import functools
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

DEFAULT = "50000-59999"  # below what user namespaces of containers end with, above the accounts of people
DEFAULT_LAST = int(DEFAULT.partition("-")[2])
SAME = "same"  # the value that wants no other user
REGISTRY = "task-users"  # in the data directory: lines of "<number> <project>/<domain>"
_CHOWN, _DAC_OVERRIDE, _FOWNER, _KILL, _SETGID, _SETUID = 0, 1, 3, 5, 6, 7
NEEDED = (_CHOWN, _DAC_OVERRIDE, _FOWNER, _KILL, _SETGID, _SETUID)  # capabilities, by their numbers in Linux


class BadTaskUser(ValueError):
    """The setting cannot be read, or names users that this process cannot become."""


@dataclass(frozen=True)
class Identity:
    """Whom a task runs as. `groups` are the supplementary ones; `uid` and `gid` own what it writes."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class TaskUsers:
    """The users of the tasks of this data directory. Thread-safe, and shared by processes through the registry."""

    def __init__(self, first: int, last: int, registry: Path) -> None:
        self.first, self.last, self.registry = first, last, registry
        self._known: dict[tuple[str, str], int] = {}

    @property
    def group(self) -> int:
        """The group that every task is in, and nobody else."""
        return self.first

    @property
    def highest(self) -> int:
        return self.last

    def of(self, project: str, domain: str) -> Identity:
        """The user of the tasks of a project and domain, the same for ever. OSError when all numbers are taken."""
        number = self._known.get((project, domain)) or self._look_up(project, domain)
        return Identity(number, number, (self.group,))

    def _look_up(self, project: str, domain: str) -> int:
        fd = os.open(self.registry, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for line in file:
                number, _, scope = line.rstrip("\n").partition(" ")
                known_project, _, known_domain = scope.partition("/")
                self._known[known_project, known_domain] = int(number)
            if (project, domain) not in self._known:
                free = max(self._known.values(), default=self.first) + 1
                if free > self.last:
                    raise OSError(f"CAUSEWAY_TASK_USER: all numbers up to {self.last} are taken, see {self.registry}")
                file.write(f"{free} {project}/{domain}\n")
                file.flush()
                os.fsync(file.fileno())
                self._known[project, domain] = free
        return self._known[project, domain]


class OneTaskUser(TaskUsers):
    """All tasks as one user: they are kept from the control plane, and not from each other."""

    def __init__(self, uid: int, gid: int) -> None:
        super().__init__(gid, gid, Path(os.devnull))
        self.identity = Identity(uid, gid)

    @property
    def highest(self) -> int:
        return max(self.identity.uid, self.identity.gid)

    def of(self, project: str, domain: str) -> Identity:
        return self.identity


def configured(setting: str, home: Path) -> TaskUsers | None:
    """The users that `CAUSEWAY_TASK_USER` names; None: tasks run as this process's own user.

    Empty means DEFAULT where this process may become any user, else SAME. Raises BadTaskUser.
    """
    setting = setting.strip()
    if setting == SAME or (not setting and _lacking(DEFAULT_LAST)):
        return None
    users = _parse(setting or DEFAULT, home)
    if lacking := _lacking(users.highest):
        raise BadTaskUser(f"CAUSEWAY_TASK_USER is {setting!r}, and {lacking}; set it to {SAME!r} to do without")
    return users


def _parse(setting: str, home: Path) -> TaskUsers:
    first, dash, last = setting.partition("-")
    if dash and first.isdigit() and last.isdigit():
        if not 0 < int(first) < int(last):
            raise BadTaskUser(f"CAUSEWAY_TASK_USER: {setting!r} is no range of user numbers such as {DEFAULT}")
        return TaskUsers(int(first), int(last), home / REGISTRY)
    user, colon, group = setting.partition(":")
    if user.isdigit() and (group.isdigit() or not colon):
        found = OneTaskUser(int(user), int(group or user))
    else:
        try:
            entry = pwd.getpwnam(setting)
        except KeyError:
            wanted = f"a user's name, a number, number:number, a range such as {DEFAULT}, or {SAME}"
            raise BadTaskUser(f"CAUSEWAY_TASK_USER is {setting!r}, it must be {wanted}") from None
        found = OneTaskUser(entry.pw_uid, entry.pw_gid)
    if found.identity.uid == 0 or found.identity.gid == 0:
        raise BadTaskUser(f"CAUSEWAY_TASK_USER: {setting!r} is root")
    return found


@functools.cache
def _lacking(highest: int) -> str:
    """Why this process cannot run others as users up to that number; empty: it can."""
    if os.geteuid() != 0:
        return "only root may run tasks as other users"
    try:
        status, mapped = Path("/proc/self/status").read_text(), Path("/proc/self/uid_map").read_text()
    except OSError:
        return ""  # not Linux: root may all
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    if any(not effective >> number & 1 for number in NEEDED):
        return "this process was started without the capabilities that takes (CHOWN, SETUID, SETGID, KILL and others)"
    spans = [(int(line.split()[0]), int(line.split()[2])) for line in mapped.splitlines()]
    if not any(start <= highest < start + size for start, size in spans):
        return f"there is no user {highest} in this user namespace"
    return ""


def why_same(setting: str) -> str:
    """Why tasks run as this process's own user, for the log."""
    return "CAUSEWAY_TASK_USER=same" if setting.strip() == SAME else _lacking(DEFAULT_LAST)
