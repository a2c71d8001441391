"""Makes the local executor of the settings, and says who its tasks run as."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections

from artifacts.store import store, task_users
from artifacts.task_users import BadTaskUser, TaskUsers, why_same
from scheduler import task_tokens
from scheduler.executors.local import reads
from scheduler.executors.local.environments import BadEnvironments, check, parse
from scheduler.executors.local.executor import LocalExecutor
from scheduler.executors.local.identities import let_through
from scheduler.executors.local.limits import Limits
from scheduler.executors.registry import BadSetup, Setup
from scheduler.models import LaunchPlan
from scheduler.secrets.lookup import mounts_for
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Request

logger = logging.getLogger(__name__)


def make(setup: Setup) -> LocalExecutor:
    """`setup.options`: `warm`, how many distributions of code are kept imported. Raises BadSetup."""
    try:
        users = task_users()
        environments = parse(settings.CAUSEWAY_ENVIRONMENTS)
        check(environments)
    except (BadTaskUser, BadEnvironments) as error:
        raise BadSetup(str(error)) from None
    limits = _limits()
    _say_who(users, environments.values())
    return LocalExecutor(
        setup.home,
        store(),
        warm_limit=setup.options["warm"],
        endpoint=settings.CAUSEWAY_GRPC_ENDPOINT,
        environments=environments,
        built=Path(settings.CAUSEWAY_ENVIRONMENTS_DIR),
        limits=limits,
        users=users,
        may_read=reads.may_read,
        may_launch=_may_launch,
        token_of=task_tokens.issue if settings.CAUSEWAY_GRPC_AUTH == "token" else None,
        secrets_of=_find_secrets,
    )


def _limits() -> Limits:
    """Of every attempt, as the settings say."""
    found = Limits(
        task_seconds=settings.CAUSEWAY_TASK_TIMEOUT,
        log_bytes=settings.CAUSEWAY_MAX_LOG_BYTES,
        deck_bytes=settings.CAUSEWAY_MAX_DECK_BYTES,
    )
    try:
        found.check()
    except ValueError as error:
        raise BadSetup(str(error)) from None
    return found


def _may_launch() -> bool:
    """Until something is registered no process is kept for it: flytekit alone takes 60 MB."""
    return LaunchPlan.objects.exists()


def _find_secrets(attempt_id: int, asked: Sequence[Request]) -> Mounts:
    """In a thread of the executor, whose connection may have been lost since the last time."""
    close_old_connections()
    try:
        return mounts_for(attempt_id, asked)
    finally:
        close_old_connections()


def _say_who(users: TaskUsers | None, pythons: Collection[str]) -> None:
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
