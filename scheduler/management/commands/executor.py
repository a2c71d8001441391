from __future__ import annotations

import fcntl
import os
import secrets
import socket
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scheduler.executors import registry
from scheduler.executors.daemon import Daemon
from scheduler.termination import on_termination


class Command(BaseCommand):
    help = "Run task attempts. Stopping it, even with SIGKILL, leaves running tasks running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--warm", type=int, default=4, help="code distributions kept imported (default: 4)")
        kinds = sorted(registry.REGISTRY)
        parser.add_argument("--kind", choices=kinds, default=registry.LOCAL, help="where they run (default: here)")
        parser.add_argument("--cluster", default="", help="which cluster, for a kind that has several")

    def handle(self, *args: Any, **options: Any) -> None:
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
            on_termination(daemon.stop)
            daemon.run()


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
