"""Frames of Spark, Polars, Modin, Arrow and pandas, from one library to the other, each in a task of its own.

A lab: its libraries have some 900 MB, and Spark needs Java, so it runs where CAUSEWAY_LABS=frames (or all) asks for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.executors.local.zygote.together import NSS_WRAPPERS
from tests.e2e.environments import environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import running_stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not {"1", "all", "frames"} & set(os.environ.get("CAUSEWAY_LABS", "").split(",")),
        reason="a lab of large libraries: CAUSEWAY_LABS=frames",
    ),
]
PINNED = Path(__file__).parent / "labs.d/frames.txt"
NAMED = os.geteuid() != 0 or any(map(os.path.exists, NSS_WRAPPERS))  # root's tasks have users of their own


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    folder = tmp_path_factory.mktemp("frames")
    lab = environment(PINNED, folder / "environment", with_sdk=True)
    with running_stack(folder / "home", CAUSEWAY_ENVIRONMENTS=f"ghcr.io/isles/frames={lab / 'python'}") as stack:
        user = FlytekitUser(stack, folder / "programs", commands=lab)
        where = ("-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--copy", "all")
        assert "Successfully registered" in user.pyflyte("register", *where, "frames")
        yield user


def said(user: FlytekitUser, workflow: str, n: int) -> str:
    run = user.wait(user.remote.execute(user.fetch(f"frames.{workflow}"), inputs={"n": n}), 600)
    assert run.error is None, run.error.message
    return str(run.outputs.get("o0", str))


@pytest.mark.skipif(shutil.which("java") is None or not NAMED, reason="Spark needs Java, and libnss-wrapper for root")
def test_a_frame_passes_through_all_libraries(user: FlytekitUser) -> None:
    assert said(user, "flows.frames_wf", 10) == "[9, 45, 22.5, 90, 135, 5] ['boat', 'fish']"


def test_the_rows_of_a_query_pass_into_a_frame(user: FlytekitUser) -> None:
    assert said(user, "queries.query_wf", 4) == "['fish', 'squared'] 30"
