"""ImageSpec.is_container() in a task: true of the spec that its image was made of, warm or not."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import PROJECT, Bench, error

pytestmark = pytest.mark.e2e  # real processes


@pytest.fixture(scope="module")
def program() -> Iterator[Any]:
    """As the client has it, which names the images."""
    spec = importlib.util.spec_from_file_location("pictures", PROJECT / "workflows" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def where(bench: Bench, image: str) -> list[bool]:
    made = bench.task("where", module="workflows.pictures")
    ended = bench.run(replace(made, spec=replace(made.spec, image=image)))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    found = bench.outputs(ended).literals["o0"].collection.literals
    return [literal.scalar.primitive.boolean for literal in found]


def test_it_is_true_of_the_spec_of_the_tasks_image_only(own_bench: Bench, program: Any) -> None:
    for number, name in enumerate(("trainer", "other", "more")):
        expected = [number == position for position in range(3)]
        image = getattr(program, name).image_name()
        assert [where(own_bench, image), where(own_bench, image)] == [expected, expected], "also when it is warm"
    clones = own_bench.executor.pools.own.clones.values()
    assert sum("workflows.pictures" in clone.modules for clone in clones) == 3, "one for each image"
    assert where(own_bench, "localhost:30000/flytekit:latest") == [False] * 3
    assert where(own_bench, "ghcr.io/flyteorg/flytekit:py3.11") == [False] * 3
