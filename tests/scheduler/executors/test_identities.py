"""Which user of the operating system an attempt runs as."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from artifacts.store import LocalStore, open_store
from artifacts.task_users import TaskUsers
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import Addresses, AttemptSpec, Identity
from scheduler.executors.base import Assignment
from scheduler.executors.local.identities import identity_of


def test_while_inputs_cannot_be_read_it_is_not_known_whose_objects_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"{tmp_path}/objects")
    assert isinstance(store, LocalStore)
    users = TaskUsers(50000, 59999, tmp_path / "users")
    store.put(uri := f"{store.root}/metadata/p/d/e/n0/inputs.pb", f"{store.root}/raw/other/d/e/x".encode())
    attempt = Assignment(
        1, AttemptSpec(Identity("a", "p", "d", "e", "n0"), addresses=Addresses(inputs=uri)), Resources()
    )
    found = identity_of(attempt, users, store, lambda *_: True)
    assert found is not None and users.of("other", "d").gid in found.groups

    def none_left(*_: Any, **__: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as short:
        short.setattr(os, "open", none_left)
        with pytest.raises(OSError, match="Too many"):
            identity_of(attempt, users, store, lambda *_: True)
    store.delete(uri)
    found = identity_of(attempt, users, store, lambda *_: True)
    assert found is not None and users.of("other", "d").gid not in found.groups
