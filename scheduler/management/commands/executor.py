from __future__ import annotations

import fcntl
import logging
import os
import secrets
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from artifacts.store import store, task_users
from artifacts.task_users import BadTaskUser, TaskUsers, why_same
from scheduler import task_tokens
from scheduler.executors.daemon import Daemon
from scheduler.executors.local import reads
from scheduler.executors.local.environments import BadEnvironments, check, parse
from scheduler.executors.local.executor import LocalExecutor
from scheduler.executors.local.identities import let_through
from scheduler.executors.local.limits import Limits
from scheduler.secrets.lookup import mounts_for
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Request
from scheduler.termination import on_termination

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run task attempts on this machine. Stopping it, even with SIGKILL, leaves running tasks running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--warm", type=int, default=4, help="code distributions kept imported (default: 4)")

    def handle(self, *args: Any, **options: Any) -> None:
        home = Path(settings.CAUSEWAY_HOME)
        try:
            users = task_users()
        except BadTaskUser as error:
            raise CommandError(str(error)) from None
        try:
            environments = parse(settings.CAUSEWAY_ENVIRONMENTS)
            check(environments)
        except BadEnvironments as error:
            raise CommandError(str(error)) from None
        say_who(users, environments.values())
        with only_one(home):
            local = LocalExecutor(
                home,
                store(),
                warm_limit=options["warm"],
                endpoint=settings.CAUSEWAY_GRPC_ENDPOINT,
                environments=environments,
                limits=limits(),
                users=users,
                may_read=reads.may_read,
                token_of=task_tokens.issue if settings.CAUSEWAY_GRPC_AUTH == "token" else None,
                secrets_of=find_secrets,
            )
            daemon = Daemon(local, instance_name(home))
            on_termination(daemon.stop)
            daemon.run()


def limits() -> Limits:
    """Of every attempt, as the settings say."""
    found = Limits(
        task_seconds=settings.CAUSEWAY_TASK_TIMEOUT,
        log_bytes=settings.CAUSEWAY_MAX_LOG_BYTES,
        deck_bytes=settings.CAUSEWAY_MAX_DECK_BYTES,
    )
    try:
        found.check()
    except ValueError as error:
        raise CommandError(str(error)) from None
    return found


def find_secrets(attempt_id: int, asked: Sequence[Request]) -> Mounts:
    """In a thread of the executor, whose connection may have been lost since the last time."""
    close_old_connections()
    try:
        return mounts_for(attempt_id, asked)
    finally:
        close_old_connections()


def say_who(users: TaskUsers | None, pythons: Collection[str]) -> None:
    """Whether the code of tasks is kept from the control plane; the paths that it needs are opened."""
    if users is None:
        why = why_same(settings.CAUSEWAY_TASK_USER)
        logger.warning("TASKS RUN AS CAUSEWAY'S OWN USER (%s): whoever may register code is admin of all of it", why)
        return
    for path in (Path(sys.prefix), Path(sys.base_prefix), Path(settings.BASE_DIR)):
        let_through(path.resolve() / "-")  # of the paths themselves as well
    for python in map(Path, pythons):
        let_through(python)
        let_through(python.resolve())
    let_through(Path(settings.CAUSEWAY_HOME))
    logger.info("tasks run as users of their own, from number %d", users.first)


def only_one(home: Path) -> TextIO:
    """Two executors in one home would both adopt the same attempts. The lock goes with the process."""
    home.mkdir(parents=True, exist_ok=True)
    lock = open(home / "executor.lock", "w")  # noqa: SIM115 - held open, that is the lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(f"an executor runs already in {home}") from None
    return lock


def instance_name(home: Path) -> str:
    """The same after every restart in this home: that is how it knows its own attempts again."""
    path = home / "executor-id"
    if not path.exists():
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(f"local-{socket.gethostname()[:32]}-{secrets.token_hex(4)}")
        partial.rename(path)
    return path.read_text().strip()
