"""Keras and TensorFlow: a model, its rows and its records between tasks, kept, shown and on a laptop; and a training of
two workers.

A lab: its libraries have some 1.5 GB, so it runs where CAUSEWAY_LABS=tensors (or all) asks for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from causeway.client import Client

from tests.e2e.environments import SDK, environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import running_stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not {"1", "all", "tensors"} & set(os.environ.get("CAUSEWAY_LABS", "").split(",")),
        reason="a lab of large libraries: CAUSEWAY_LABS=tensors",
    ),
]
PINNED = Path(__file__).parent / "labs.d/tensors.txt"
SECONDS = 600.0  # TensorFlow alone takes many to be imported where nobody has before


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    folder = tmp_path_factory.mktemp("tensors")
    lab = environment(PINNED, folder / "environment", with_sdk=True)
    with running_stack(folder / "home", CAUSEWAY_ENVIRONMENTS=f"ghcr.io/isles/tensors={lab / 'python'}") as stack:
        user = FlytekitUser(stack, folder / "programs", commands=lab)
        registered = user.pyflyte(
            *("register", "-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--copy", "all", "tensors")
        )
        assert "Successfully registered" in registered
        yield user


def said(user: FlytekitUser, workflow: str) -> str:
    run = user.wait(user.remote.execute(user.fetch(f"tensors.flows.{workflow}"), inputs={"n": 12}), SECONDS)
    assert run.error is None, run.error.message
    return str(run.outputs.get("o0", str))


LAPTOP = """
import sys
from pathlib import Path
import keras, numpy
from causeway.client import Client

version = Client(*sys.argv[1:5]).get("tensor-model")
path = version.pull(Path(sys.argv[5]))
print(path.suffix, keras.saving.load_model(path).predict(numpy.ones((1, 3)), verbose=0)[0][0])
"""


def test_a_model_its_rows_and_its_records_pass_between_tasks_and_onto_a_laptop(
    user: FlytekitUser, tmp_path: Path
) -> None:
    assert said(user, "model_wf") == "[3.0, 3.0] Tide True 12"
    client = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN)
    model, records = client.get("tensor-model"), client.get("tensor-records")
    assert (model.kind, records.kind) == ("model", "dataset")
    seen = client.connection.call("GET", f"{model.path}/preview")
    assert seen["what"] == "keras.Sequential", seen
    where = [user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN, str(tmp_path)]
    done = subprocess.run(
        [user.commands / "python", "-c", LAPTOP, *where],
        env={**os.environ, "PYTHONPATH": str(SDK)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.stdout.split() == [".keras", "3.0"], done.stderr[-3000:]


def test_two_workers_of_tensorflow_train_one_model(user: FlytekitUser) -> None:
    assert said(user, "together_wf") == "[9.0, 3.24, 1.17] by 2, 3 of 3"
