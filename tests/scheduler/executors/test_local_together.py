"""Tasks of several processes on this machine: a process for each replica, and mpirun."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from scheduler.together import VARIABLE
from tests.scheduler.executors.conftest import Bench, error

pytestmark = pytest.mark.e2e  # real processes


def together(bench: Bench, name: str, form: dict[str, Any], **options: Any) -> Assignment:
    return bench.task(name, env={VARIABLE: json.dumps(form), **options.pop("env", {})}, **options)


def said(bench: Bench, ended: Any) -> str:
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    text: str = bench.outputs(ended).literals["o0"].scalar.primitive.string_value
    return text


def test_replicas_meet_and_the_outputs_are_those_of_the_first(own_bench: Bench) -> None:
    attempt = together(own_bench, "replica", {"form": "torch", "count": 3}, inputs={"failing": ""})
    assert said(own_bench, own_bench.run(attempt)) == "1of3 2of3"


def test_one_that_fails_ends_all_and_says_why(own_bench: Bench) -> None:
    """Rank 0 waits for it for ever."""
    attempt = together(own_bench, "replica", {"form": "torch", "count": 3}, inputs={"failing": "2"})
    ended = own_bench.run(attempt, timeout=40)
    assert ended.outcome.phase == AttemptPhase.FAILED
    assert "rank 2 cannot go on" in error(ended).message


def test_a_parameter_server_ends_with_the_chief(own_bench: Bench) -> None:
    form = {"form": "tensorflow", "roles": {"chief": 1, "ps": 1, "worker": 1}, "count": 3}
    attempt = together(own_bench, "of_cluster", form)
    assert said(own_bench, own_bench.run(attempt, timeout=40)) == "chief 0 of [('chief', 1), ('ps', 1), ('worker', 1)]"


MPIRUN = """#!/bin/sh
while [ "$1" != -np ]; do shift; done
ranks=$2; shift 2
rank=0
while [ $rank -lt $ranks ]; do OMPI_COMM_WORLD_RANK=$rank "$@" || exit 9; rank=$((rank + 1)); done
"""


def test_mpirun_starts_the_ranks_with_the_tasks_own_python_and_rank_0_has_the_outputs(
    own_bench: Bench, tmp_path: Path
) -> None:
    """By a program that stands for mpirun, one rank after the other: the last one would win."""
    program = tmp_path / "mpirun"
    program.write_text(MPIRUN)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    plain = own_bench.task("mpi_rank")
    words, launcher = list(plain.spec.argv), ["mpirun", "-bind-to", "none", "-np", "3", "python", "/opt/entrypoint.py"]
    at = words.index("pyflyte-execute")
    env = {VARIABLE: json.dumps({"form": "mpi"}), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    attempt = replace(plain, spec=replace(plain.spec, argv=(*words[:at], *launcher, *words[at:]), env=env))
    assert said(own_bench, own_bench.run(attempt)) == "0"


def test_without_mpirun_it_says_what_to_install(own_bench: Bench) -> None:
    attempt = together(
        own_bench, "mpi_rank", {"form": "mpi"}, args=["mpirun", "-np", "2", "x"], env={"PATH": "/nowhere"}
    )
    ended = own_bench.run(attempt)
    assert ended.outcome.phase == AttemptPhase.FAILED
    assert "install it (Debian: openmpi-bin)" in error(ended).message
