from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.flytekit_user import FlytekitUser
from tests.stack import RunningStack


@pytest.fixture(scope="session")
def user(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> FlytekitUser:
    """Somebody who has registered all programs of `isles` in version v1, with one command."""
    user = FlytekitUser(stack, tmp_path_factory.mktemp("user") / "programs")
    assert "Successfully registered" in user.register("isles", "v1")
    return user


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where tests and tasks, which may have users of their own, leave each other files: pytest's let nobody in."""
    with tempfile.TemporaryDirectory(prefix="causeway-") as folder:
        path = Path(folder)
        path.chmod(0o777)  # noqa: S103 - that is what it is for
        yield path
