"""Programs that need libraries of their own: notebooks, pandera, Polars, in an environment that stands for an image.

As docs/operations.md says it is done, with flytekit's plug-ins as they are on PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from causeway.client import Client
from flytekit.remote import FlyteWorkflowExecution

from tests.e2e.environments import environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import running_stack

pytestmark = pytest.mark.e2e

PINNED = Path(__file__).parent / "labs.txt"
SDK = Path(__file__).parents[2] / "sdk"
LAUNCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "notebook": ("notebook_wf", {"side": 3.0}),
    "valid": ("pandera_wf", {"fish": 41}),
    "refused output": ("pandera_wf", {"fish": 101}),
    "refused input": ("pandera_input_wf", {"fish": 101}),
    "kept": ("kept_wf", {"fish": 41}),
    "read": ("read_wf", {"fish": 101}),
    "polars": ("polars_wf", {"n": 4}),
}

Runs = dict[str, FlyteWorkflowExecution]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the environment's commands; the SDK is in it too."""
    commands = environment(PINNED, tmp_path_factory.mktemp("lab") / "environment")
    [packages] = commands.parent.glob("lib/python*/site-packages")
    (packages / "causeway.pth").write_text(str(SDK))
    return commands


@pytest.fixture(scope="module")
def user(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    """Somebody who has registered the programs, with the `pyflyte` of that environment."""
    folder = tmp_path_factory.mktemp("labs")
    with running_stack(folder / "home", CAUSEWAY_ENVIRONMENTS=f"ghcr.io/isles/labs={lab / 'python'}") as stack:
        user = FlytekitUser(stack, folder / "programs", commands=lab)
        registered = user.pyflyte("register", "-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--copy", "all", "labs")
        assert "Successfully registered" in registered
        yield user


@pytest.fixture(scope="module")
def runs(user: FlytekitUser) -> Runs:
    """Launched together: a catch of more than 100 fish is refused."""
    return {
        name: user.remote.execute(user.fetch(f"labs.experiments.{workflow}"), inputs=inputs)
        for name, (workflow, inputs) in LAUNCHES.items()
    }


def outputs(user: FlytekitUser, run: FlyteWorkflowExecution, *types: Any) -> tuple[Any, ...]:
    user.wait(run)
    assert run.error is None, run.error.message
    return tuple(run.outputs.get(f"o{number}", python_type) for number, python_type in enumerate(types))


def test_a_notebook_takes_inputs_and_gives_outputs(user: FlytekitUser, runs: Runs) -> None:
    assert outputs(user, runs["notebook"], float, str) == (4.5, "9.0 m²")


def test_a_notebook_is_its_own_deck(user: FlytekitUser, runs: Runs) -> None:
    run = user.wait(runs["notebook"])
    deck = user.remote.get(f"flyte://v1/{PROJECT}/{DOMAIN}/{run.id.name}/n0/d")
    text = getattr(deck, "data", deck)
    assert "a square of 9.0 m²" in (text.decode() if isinstance(text, bytes) else str(text))


def test_a_valid_frame_passes(user: FlytekitUser, runs: Runs) -> None:
    assert outputs(user, runs["valid"], int) == (42,)


@pytest.mark.parametrize("name", ["refused output", "refused input"])
def test_a_frame_that_breaks_its_schema_fails_the_task_with_what_pandera_says(
    user: FlytekitUser, runs: Runs, name: str
) -> None:
    message = user.error(runs[name]).message
    assert all(words in message for words in ("SchemaErrors", "less_than_or_equal_to(100)", "fish")), message


def test_what_pandera_says_is_a_check_of_what_is_published_or_read(user: FlytekitUser, runs: Runs) -> None:
    client = Client(user.stack.http_url, user.stack.admin_token)
    assert user.wait(runs["kept"]).error is None
    [kept] = client.governance.results("lab-catches")
    assert (kept["name"], kept["status"], kept["severity"]) == ("pandera-Catch", "passed", "block")
    assert kept["numbers"] == {"rows": 2.0, "value": 0.0}
    user.error(runs["read"])  # it breaks the schema of who reads it, and is there all the same
    [read] = client.governance.results("lab-landings")
    assert (read["name"], read["status"], read["severity"]) == ("pandera-Catch", "failed", "warn")
    assert read["evidence"]["cases"][0]["failure_case"] == 101


def test_what_pandera_kept_from_being_published_is_a_happening(user: FlytekitUser, runs: Runs) -> None:
    user.error(runs["refused output"])
    client = Client(user.stack.http_url, user.stack.admin_token)
    key = f"{PROJECT}/{DOMAIN}/{runs['refused output'].id.name}"
    [row] = client.governance.happenings(kind="check.failed", execution_key=key)
    assert row["name"] == "pandera-Catch" and "less_than_or_equal_to(100)" in row["detail"]["message"]


def test_a_polars_frame_passes_between_tasks(user: FlytekitUser, runs: Runs) -> None:
    assert outputs(user, runs["polars"], int, int, list[int]) == (4, 3, [0, 1, 2, 3])
