"""Spark, Dask, Ray and MPI on one machine, through their plug-ins as they are on PyPI.

A lab: its libraries have some 700 MB, so it runs where CAUSEWAY_LABS=1 asks for it, and Spark only where there is Java.
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
        os.environ.get("CAUSEWAY_LABS") not in ("1", "all"), reason="a lab of large libraries: CAUSEWAY_LABS=1"
    ),
]

PINNED = Path(__file__).parent / "together.txt"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    folder = tmp_path_factory.mktemp("together")
    lab = environment(PINNED, folder / "environment")
    with running_stack(folder / "home", CAUSEWAY_ENVIRONMENTS=f"ghcr.io/isles/together={lab / 'python'}") as stack:
        user = FlytekitUser(stack, folder / "programs", commands=lab)
        registered = user.pyflyte(
            *("register", "-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--copy", "all", "together")
        )
        assert "Successfully registered" in registered
        yield user


def said(user: FlytekitUser, workflow: str) -> str:
    run = user.wait(user.remote.execute(user.fetch(f"together.flows.{workflow}"), inputs={"n": 10}))
    assert run.error is None, run.error.message
    return str(run.outputs.get("o0", str))


NAMED = os.geteuid() != 0 or any(map(os.path.exists, NSS_WRAPPERS))  # root's tasks have users of their own


@pytest.mark.skipif(shutil.which("java") is None or not NAMED, reason="Spark needs Java, and libnss-wrapper for root")
@pytest.mark.skipif((os.cpu_count() or 1) < 3, reason="a driver and two executors ask for three cores")
def test_spark_has_its_configuration_and_as_many_slots_as_executors(user: FlytekitUser) -> None:
    assert said(user, "spark_wf") == "285 Skye local[2]"


def test_dask_has_a_scheduler_and_its_workers(user: FlytekitUser) -> None:
    assert said(user, "dask_wf") == "285 2"


def test_ray_has_a_core_for_the_head_and_for_each_worker(user: FlytekitUser) -> None:
    assert said(user, "ray_wf") == "285 3"


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("spark", marks=pytest.mark.skipif(shutil.which("java") is None or not NAMED, reason="no Java")),
        "dask",
        "ray",
    ],
)
def test_the_next_task_has_the_cluster_of_the_one_before(user: FlytekitUser, kind: str) -> None:
    """What a task says of where it was: the JVM's process, the scheduler's address, or the node's id."""
    first, second = said(user, f"kept_{kind}_wf"), said(user, f"kept_{kind}_wf")
    assert first == second and first.startswith("285 ")


def test_mpi_has_its_ranks_and_the_outputs_are_those_of_the_first(user: FlytekitUser) -> None:
    assert said(user, "mpi_wf") == "285 0 of 2"
