from __future__ import annotations

import sys
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path

import causeway
import pytest

from scheduler.executors.local.environments import BadEnvironments, check, parse, python_for
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, error
from tests.scheduler.executors.test_local_outcomes import unpack

# flytekit, and our SDK, whose types it loads
OURS = f"{sysconfig.get_path('purelib')}\n{Path(causeway.__file__).parents[1]}\n"
pytestmark = pytest.mark.e2e  # real processes

OTHER = {"ghcr.io/team/train": "/train", "ghcr.io/team/train:v2": "/train2", "localhost:5000/notebooks": "/notebooks"}


@pytest.mark.parametrize(
    ("image", "python"),
    [
        ("ghcr.io/team/train:v1", "/train"),
        ("ghcr.io/team/train:v2", "/train2"),
        ("ghcr.io/team/train", "/train"),
        ("ghcr.io/team/train:v1@sha256:ab", "/train"),
        ("ghcr.io/team/train@sha256:ab", "/train"),
        ("localhost:5000/notebooks", "/notebooks"),
        ("localhost:5000/notebooks:1.0", "/notebooks"),
        ("localhost", sys.executable),
        ("ghcr.io/team/trainer:v1", sys.executable),
        ("", sys.executable),
    ],
)
def test_it_takes_the_python_of_the_image(image: str, python: str) -> None:
    assert python_for(image, OTHER) == python


def test_it_reads_the_setting() -> None:
    assert parse("") == {}
    text = f" host:5000/a:1={sys.executable} ,b = {sys.executable},"
    assert parse(text) == {"host:5000/a:1": sys.executable, "b": sys.executable}


@pytest.mark.parametrize("text", ["a", "a=", "=/bin/sh", "a=python", "a=/nowhere/python", "a:/bin/sh"])
def test_it_explains_what_it_cannot_read(text: str) -> None:
    with pytest.raises(BadEnvironments, match="CAUSEWAY_ENVIRONMENTS"):
        parse(text)


def test_it_refuses_a_python_without_flytekit(tmp_path: Path) -> None:
    check({"ours": sys.executable})
    venv.create(tmp_path / "bare", symlinks=True)
    with pytest.raises(BadEnvironments, match="flytekit"):
        check({"bare": str(tmp_path / "bare" / "bin" / "python")})


def test_a_task_runs_in_the_python_of_its_image(own_bench: Bench, tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, symlinks=True)
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(OURS)  # flytekit, without installing it again
    own_bench.executor.means.environments = {"team/other": str(home / "bin" / "python")}

    def prefix_of(image: str) -> str:
        attempt = own_bench.task("which_python")
        ended = own_bench.run(replace(attempt, spec=replace(attempt.spec, image=image)))
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED, own_bench.log(attempt)
        return own_bench.outputs(ended).literals["o0"].scalar.primitive.string_value

    assert prefix_of("team/other:v1") == str(home)
    assert prefix_of("team/other:v1") == str(home), "also when it is warm"
    assert prefix_of("team/unknown:v1") == sys.prefix


def test_what_a_task_registers_has_its_image_too(own_bench: Bench) -> None:
    attempt = own_bench.task("surroundings")
    ended = own_bench.run(replace(attempt, spec=replace(attempt.spec, image="team/mine:v2")))
    assert unpack(own_bench.outputs(ended).literals["o0"].scalar)["default_image"] == "team/mine:v2"


def test_a_task_does_not_see_the_packages_of_causeway(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{tmp_path}")
    own_bench.executor.means.environments = {"other": sys.executable}
    attempt = own_bench.task("import_path")
    ended = own_bench.run(replace(attempt, spec=replace(attempt.spec, image="other")))
    seen = own_bench.outputs(ended).literals["o0"].scalar.primitive.string_value.split(":")
    assert str(root) not in seen and str(tmp_path) in seen


def environment_with(plugin: str, home: Path) -> str:
    """The Python of an environment in which flytekit loads a plugin of this source by itself."""
    venv.create(home, symlinks=True)
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(OURS)
    (packages / "busy_plugin.py").write_text(plugin)
    described = packages / "busy_plugin-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Name: busy-plugin\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[flytekit.plugins]\nbusy = busy_plugin\n")
    return str(home / "bin" / "python")


def test_a_plugin_that_starts_threads_is_loaded_in_each_task(own_bench: Bench, tmp_path: Path) -> None:
    """As importing flytekitplugins-polars does; a process with threads must not be forked."""
    plugin = "import threading\nthread = threading.Thread(target=threading.Event().wait, daemon=True)\nthread.start()\n"
    own_bench.executor.means.environments = {"team/busy": environment_with(plugin, tmp_path / "env")}
    attempt = own_bench.task("has_module", inputs={"name": "busy_plugin"})
    ended = own_bench.run(replace(attempt, spec=replace(attempt.spec, image="team/busy")))
    assert own_bench.outputs(ended).literals["o0"].scalar.primitive.string_value == "alive"


def test_an_environment_that_cannot_start_ends_the_attempt(own_bench: Bench, tmp_path: Path) -> None:
    own_bench.executor.means.environments = {"bad": environment_with("import os\nos._exit(3)\n", tmp_path / "env")}
    attempt = own_bench.task("nothing")
    ended = own_bench.run(replace(attempt, spec=replace(attempt.spec, image="bad")), timeout=120)
    assert error(ended).code == "StartFailed"
    assert f"{tmp_path}/env/bin/python that tasks are forked from died 5 times" in error(ended).message
