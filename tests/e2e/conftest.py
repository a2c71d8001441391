from __future__ import annotations

import pytest

from tests.e2e.flytekit_user import FlytekitUser
from tests.stack import RunningStack


@pytest.fixture(scope="session")
def user(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> FlytekitUser:
    """Somebody who has registered all programs of `isles` in version v1, with one command."""
    user = FlytekitUser(stack, tmp_path_factory.mktemp("user") / "programs")
    assert "Successfully registered" in user.register("isles", "v1")
    return user
