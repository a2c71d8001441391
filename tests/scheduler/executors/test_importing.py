"""What a program that is imported once, with forks as its tasks, must not change for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flytekit.configuration import SERIALIZED_CONTEXT_ENV_VAR, ImageConfig, SerializationSettings

from scheduler.executors.local.zygote import importing


def settings_of(version: str) -> str:
    made = SerializationSettings(ImageConfig.auto(img_name="localhost/task:1"), "flights", "development", version)
    return made.serialized_context


def test_a_programs_settings_are_read_once_and_all_others_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = settings_of("v1"), settings_of("v2")
    monkeypatch.setattr(SerializationSettings, "from_transport", SerializationSettings.from_transport)
    monkeypatch.setenv(SERIALIZED_CONTEXT_ENV_VAR, own)
    importing.know_settings()
    read = SerializationSettings.from_transport
    assert read(own) is read(own)
    assert (read(own).version, read(other).version) == ("v1", "v2")
    changed = read(own).new_builder()
    changed.version = "v3"
    assert (changed.build().version, read(own).version) == ("v3", "v1"), "a task's own do not reach the next"


def test_a_program_without_settings_reads_them_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SerializationSettings.from_transport
    monkeypatch.delenv(SERIALIZED_CONTEXT_ENV_VAR, raising=False)
    importing.know_settings()
    assert SerializationSettings.from_transport == before


NOTED = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
import importing
with importing.remembering_seeds():
    exec(sys.argv[2])
print(importing.has_own_generators())
"""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("program", "own"),
    [
        ("import pandas, sklearn.ensemble, sklearn.datasets, matplotlib.pyplot, pyarrow, causeway", False),
        ("import scipy.stats", False),
        ("import numpy; kept = numpy.random.default_rng(7)", False),
        ("import numpy; kept = numpy.random.default_rng()", True),
        ("import scipy.stats; kept = scipy.stats.qmc.Sobol(1)", True),
        ("import random; kept = random.Random()", True),
    ],
)
def test_a_program_has_a_generator_of_its_own_where_it_made_one_and_not_where_a_library_drew(
    program: str, own: bool
) -> None:
    """Programs that have one are imported by each task: with scikit-learn that takes seconds."""
    where = Path(importing.__file__).parent
    done = subprocess.run([sys.executable, "-c", NOTED, where, program], capture_output=True, text=True)
    assert done.stdout == f"{own}\n", done.stderr


SEEDED = NOTED.replace("has_own_generators", "has_seeded")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("program", "seeded"),
    [
        ("import pandas, sklearn.ensemble, matplotlib.pyplot, pyarrow, causeway, random; random.random()", False),
        ("import random; random.seed()", False),
        ("import random; random.seed(7)", True),
        ("import random; random.setstate(random.getstate())", True),
        ("import numpy; numpy.random.rand()", False),
        ("import numpy; numpy.random.seed([1, 2])", True),
        ("from numpy.random import seed; seed(7)", True),
        ("from numpy.random import default_rng; default_rng(7)", False),
    ],
)
def test_it_is_noted_when_a_program_seeds_what_all_of_its_modules_share(program: str, seeded: bool) -> None:
    where = Path(importing.__file__).parent
    for before in ("", "import numpy.random; "):
        command = [sys.executable, "-c", before + SEEDED.lstrip(), str(where), program]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout == f"{seeded}\n", done.stderr


FORKED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import importing
with importing.remembering_seeds():
    exec(sys.argv[2])
for _ in range(2):
    sys.stdout.flush()
    if os.fork() == 0:
        importing.refresh_randomness()
        print(eval(sys.argv[3]))
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("program", "drawn", "same"),
    [
        ("import numpy.random", "numpy.random.rand()", False),
        ("import numpy; numpy.random.rand()", "numpy.random.rand()", False),
        ("import numpy; numpy.random.seed(None)", "numpy.random.rand()", False),
        ("import numpy; numpy.random.seed(7)", "numpy.random.rand()", True),
        ("import numpy; numpy.random.seed([1, 2])", "numpy.random.rand()", True),
        ("import random; random.random()", "random.random()", False),
        ("import random; random.seed(7)", "random.random()", True),
    ],
)
def test_forks_draw_the_same_from_what_all_modules_share_where_a_program_seeded_it(
    program: str, drawn: str, same: bool
) -> None:
    where = Path(importing.__file__).parent
    done = subprocess.run([sys.executable, "-c", FORKED, where, program, drawn], capture_output=True, text=True)
    first, second = done.stdout.split()
    assert (first == second) == same, done.stderr
