from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scheduler.executors import registry
from scheduler.executors.daemon import Daemon
from scheduler.executors.keeper import STOP_SECONDS, Keeper
from scheduler.executors.vital import vital
from scheduler.termination import on_termination


class Command(BaseCommand):
    help = "Run task attempts. Stopping it, even with SIGKILL, leaves running tasks running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--warm", type=int, default=4, help="code distributions kept imported (default: 4)")
        kinds = sorted(registry.REGISTRY)
        parser.add_argument("--kind", choices=kinds, default=registry.LOCAL, help="where they run (default: here)")
        parser.add_argument("--cluster", default="", help="which cluster, for a kind that has several")
        parser.add_argument(
            "--clusters",
            action="store_true",
            help="keep a process for each cluster that is set while Causeway runs, and one for connectors",
        )
        parser.add_argument("--with-parent", type=int, metavar="PID", help="end when that process, its parent, does")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["with_parent"]:
            end_with(options["with_parent"])
        home, kind = Path(settings.CAUSEWAY_HOME), options["kind"]
        which = "-".join(
            part for part in ("executor", kind if kind != registry.LOCAL else "", options["cluster"]) if part
        )
        setup = registry.Setup(home, cluster=options["cluster"], options={"warm": options["warm"]})
        with only_one(home, which):
            try:
                executor = registry.make(kind, setup)
            except registry.BadSetup as error:
                raise CommandError(str(error)) from None
            daemon = Daemon(executor, executor.instance or instance_name(home, which, kind))
            keeper = Keeper(registry.to_keep, start_executor)

            def stop() -> None:
                keeper.stop()
                daemon.stop()

            on_termination(stop)
            keeping = vital(keeper.run, name="keeper")
            if options["clusters"]:
                keeping.start()
            daemon.run()
            if options["clusters"]:
                keeping.join(timeout=STOP_SECONDS)


def start_executor(which: tuple[str, str]) -> subprocess.Popen[bytes]:
    """Of a kind and a cluster of it, as a process of this one's: with its rights, in its log."""
    kind, cluster = which
    command = [sys.executable, sys.argv[0], "executor", "--skip-checks", "--kind", kind]
    command += [*(["--cluster", cluster] if cluster else []), "--with-parent", str(os.getpid())]
    return subprocess.Popen(command, env={**os.environ, "CAUSEWAY_PROCESS": f"executor-{cluster or kind}"})  # noqa: S603 - our own program


def end_with(parent: int) -> None:
    """Linux: be told to end when the parent does, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        raise CommandError("the process that started this one has ended")


def only_one(home: Path, which: str) -> TextIO:
    """Two executors of a kind in one home would both adopt the same attempts. The lock goes with the process."""
    home.mkdir(parents=True, exist_ok=True)
    lock = open(home / f"{which}.lock", "w")  # noqa: SIM115 - held open, that is the lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(f"an executor runs already in {home}") from None
    return lock


def instance_name(home: Path, which: str, kind: str) -> str:
    """The same after every restart in this home: that is how it knows its own attempts again."""
    path = home / f"{which}-id"
    if not path.exists():
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(f"{kind}-{socket.gethostname()[:32]}-{secrets.token_hex(4)}")
        partial.rename(path)
    return path.read_text().strip()
