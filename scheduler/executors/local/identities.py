"""Which user of the operating system an attempt runs as, and whose objects it may read besides its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from artifacts.exceptions import CausewayError
from artifacts.store import LocalStore, ObjectStore
from artifacts.task_users import Identity, TaskUsers
from scheduler.executors.base import Assignment
from scheduler.executors.local import shortage

Place = tuple[str, str]  # project, domain
MOST_SEARCHED = 64 << 20  # bytes of inputs


def identity_of(
    assignment: Assignment,
    users: TaskUsers | None,
    store: ObjectStore,
    may_read: Callable[[int, str, str], bool] | None,
) -> Identity | None:
    """Its project's user, which no task template can choose. Where its inputs name objects of other places that it may
    read, with their groups as well. Raises what may pass.
    """
    if users is None:
        return None
    own = assignment.spec.identity.place
    user = users.of(*own)
    if not isinstance(store, LocalStore) or may_read is None:
        return user
    others = _places_in(store, assignment.spec.addresses.inputs) - {own}
    groups = {users.of(*place).gid for place in others if may_read(assignment.attempt_id, *place)}
    return Identity(user.uid, user.gid, (*user.groups, *sorted(groups - {user.gid})))


def _places_in(store: LocalStore, inputs_uri: str) -> set[Place]:
    """The projects and domains whose objects the inputs name, in whatever kind of value."""
    try:
        with store.open(inputs_uri) as stream:
            data = stream.read(MOST_SEARCHED)
    except (CausewayError, OSError) as error:
        if shortage.may_pass(error):
            raise  # else it could not read them, nor any other that is asked about in the next seconds
        return set()
    pattern = rb"%s/[\w.-]+/([\w.-]+)/([\w.-]+)/" % re.escape(os.fsencode(store.root))
    return {(project.decode(), domain.decode()) for project, domain in re.findall(pattern, data)}


def let_group_through(directory: Path, users: TaskUsers | None) -> None:
    """Let tasks pass through a directory of ours, not look into it."""
    if users is not None:
        os.chown(directory, -1, users.group)
        directory.chmod(0o710)


def let_through(path: Path) -> None:
    """Let other users traverse (not list) the directories above `path`: Python and its libraries lie there."""
    for directory in path.parents:
        mode = directory.stat().st_mode
        if not mode & 0o001:
            directory.chmod(mode | 0o001)
