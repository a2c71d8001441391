"""Where things are inside a data directory (`CAUSEWAY_HOME`). Settings and `script/up` both import this."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from artifacts.task_users import configured

# A Unix socket's path may have 107 bytes on Linux and 103 on macOS. The supervisor first adds a dot and its pid to it.
LONGEST_SOCKET_PATH = 103 - len(".4194304")


def _socket(home: Path, preferred: Path) -> Path:
    """`preferred`, or a short stand-in in the temporary directory when its path is too long for a socket."""
    if len(os.fsencode(preferred)) <= LONGEST_SOCKET_PATH:
        return preferred
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"causeway-{os.getuid()}-{digest}" / preferred.name


@dataclass(frozen=True)
class Home:
    """A data directory. Nothing is created by asking for a path."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def postgres_sockets(self) -> Path:
        """The directory PostgreSQL puts its socket into."""
        return _socket(self.root, self.postgres / ".s.PGSQL.5432").parent

    @property
    def valkey_socket(self) -> Path:
        return _socket(self.root, self.root / "valkey.sock")

    @property
    def supervisor_socket(self) -> Path:
        return _socket(self.root, self.root / "processes" / "supervisor.sock")

    @property
    def run(self) -> Path:
        """Pid files and the supervisor's configuration."""
        return self.root / "processes"

    @property
    def unprepared(self) -> Path:
        """There while the database is not yet as this code needs it."""
        return self.run / "unprepared"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def admin_token(self) -> Path:
        return self.root / "admin-token"

    @property
    def objects_door(self) -> Path:
        """The folder that the S3 door of this machine serves, where there is one."""
        return self.root / "s3"

    @property
    def s3_door(self) -> Path:
        """The address of that door; the file is there where there is one."""
        return self.root / "s3-door"

    @property
    def flyte_config(self) -> Path:
        """For flytekit: `FLYTECTL_CONFIG` or `pyflyte --config`."""
        return self.root / "flyte.yaml"

    def make_directories(self, task_user: str | None = None) -> None:
        """Create what must exist before the first process starts; only the owner may look into the data directory.

        `task_user`: as CAUSEWAY_TASK_USER, which is the default.
        """
        self.root.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.close(os.environ.get("CAUSEWAY_TASK_USER", "") if task_user is None else task_user)
        for directory in (self.run, self.logs):
            directory.mkdir(exist_ok=True, mode=0o700)
            directory.chmod(0o700)
        for socket in (self.valkey_socket, self.supervisor_socket):
            _private_directory(socket.parent, self.root)
        if self.postgres_sockets != self.postgres:
            _private_directory(self.postgres_sockets, self.root)

    def close(self, task_user: str) -> None:
        """Nobody else gets in, except that the users of tasks and of the database pass through to what is theirs."""
        users = configured(task_user, self.root)
        group = users.group if users is not None else None
        if group is not None:
            os.chown(self.root, -1, group)
        self.root.chmod(0o710 if group is not None else 0o711 if os.geteuid() == 0 else 0o700)
        for entry in os.scandir(self.root):  # of an earlier Causeway; objects, runs and code have owners of their own
            if entry.is_file(follow_symlinks=False):
                os.chmod(entry.path, 0o600)
        for name in ("static", "logs", "processes"):
            if (self.root / name).is_dir():
                (self.root / name).chmod(0o700)


def _private_directory(directory: Path, home: Path) -> None:
    """A socket directory outside the home lies in a place anybody may write to: it must be ours."""
    if home in (directory, *directory.parents):
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    ours = {os.getuid()}
    if (home / "postgres").exists():
        ours.add((home / "postgres").stat().st_uid)  # whom root gave it to, for the server
    if directory.is_symlink() or directory.stat().st_uid not in ours:
        raise PermissionError(f"{directory} belongs to somebody else")
