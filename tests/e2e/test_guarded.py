"""Secrets, pod templates and folders of one file, with flytekit as it is and a running set-up."""

from __future__ import annotations

from pathlib import Path

import pytest
from causeway.client import Client
from flytekit.remote import FlyteRemote
from flytekit.types.directory import FlyteDirectory

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser

pytestmark = pytest.mark.e2e
TOKEN, CERT = "t0ken-of-the-team", "-----CERT-----"


@pytest.fixture(scope="module")
def program(user: FlytekitUser) -> FlytekitUser:
    user.register("guarded", "v1")
    client = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN)
    client.secrets.set("token", TOKEN, group="team")
    client.secrets.set("cert", CERT, group="team", domain="")
    return user


def test_every_kind_of_task_gets_the_secret_it_asked_for_and_no_other_does(program: FlytekitUser) -> None:
    run = program.wait(program.launch("guarded.flows.secrets_wf", {"xs": [1, 2]}))
    assert run.error is None, run.error.message
    found = [run.outputs.get(f"o{number}") for number in range(6)]
    assert found == [
        TOKEN,
        [f"1 {TOKEN}", f"2 {TOKEN}"],
        CERT,
        f"told 7 {TOKEN}\n",
        [TOKEN, "nothing"],
        "nothing",
    ]


def test_an_eager_workflow_has_it_too(program: FlytekitUser) -> None:
    run = program.wait(program.launch("guarded.flows.eager_wf"))
    assert run.error is None, run.error.message
    assert run.outputs.get("o0") == f"{TOKEN} {TOKEN}"


def test_what_nobody_set_ends_the_task_before_it_starts(program: FlytekitUser) -> None:
    error = program.error(program.launch("guarded.flows.in_vain_wf"))
    assert "secret nobody-set-it of group team" in error.message and "causeway secret set" in error.message


def test_what_needs_a_cluster_is_refused(program: FlytekitUser) -> None:
    error = program.error(program.launch("guarded.flows.cluster_wf", {"x": 1}))
    assert "a Spark driver and executors" in error.message


def test_a_folder_of_one_file_is_a_folder(program: FlytekitUser, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    program.remote = FlyteRemote(program.stack.flyte_config(), PROJECT, DOMAIN)  # folders go by the last one made
    run = program.wait(program.launch("guarded.flows.folder_wf", {"folder": FlyteDirectory(str(tmp_path))}))
    assert run.error is None, run.error.message
    assert run.outputs.get("o0") == ["a.txt"]


def test_no_value_is_left_on_the_disk(program: FlytekitUser) -> None:
    """But in what the program itself gave out: outputs, logs."""
    home = program.stack.home
    for folder in ("run", "code", "logs", "tmp"):
        for path in (home / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert TOKEN.encode() not in path.read_bytes(), path
