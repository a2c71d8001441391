"""torch itself in several processes of this machine: by workers, elastic, and the module that they train, shown.

A lab, as tests/e2e/test_frameworks.py, with its environment of torch: some 6 GB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from causeway.client import Client

from tests.e2e.environments import environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import running_stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not {"1", "all", "replicas"} & set(os.environ.get("CAUSEWAY_LABS", "").split(",")),
        reason="a lab of large libraries: CAUSEWAY_LABS=replicas",
    ),
]
PINNED = Path(__file__).parent / "frameworks/torch.txt"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    folder = tmp_path_factory.mktemp("replicas")
    lab = environment(PINNED, folder / "environment", with_sdk=True)
    with running_stack(folder / "home", CAUSEWAY_ENVIRONMENTS=f"ghcr.io/isles/replicas={lab / 'python'}") as stack:
        user = FlytekitUser(stack, folder / "programs", commands=lab)
        where = ("-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--copy", "all")
        assert "Successfully registered" in user.pyflyte("register", *where, "replicas")
        yield user


def said(user: FlytekitUser, workflow: str, outputs: int) -> list[str]:
    run = user.wait(user.remote.execute(user.fetch(f"replicas.flows.{workflow}"), inputs={}), 600)
    assert run.error is None, run.error.message
    return [str(run.outputs.get(f"o{number}", str)) for number in range(outputs)]


def test_a_master_and_a_worker_train_one_module(user: FlytekitUser) -> None:
    assert said(user, "workers_wf", 1) == ["2 0 True"]


def test_elastic_processes_train_one_module_which_is_kept_and_shown(user: FlytekitUser) -> None:
    assert said(user, "elastic_wf", 2) == ["2 0 True", "Linear (2, 1)"]
    client = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN)
    version = client.get("replicas-model")
    seen = client.connection.call("GET", f"{version.path}/preview")
    assert (version.kind, seen["what"]) == ("model", "torch.nn.modules.linear.Linear")
    assert ["weight", "tensor of 1 by 3"] in seen["parameters"]
