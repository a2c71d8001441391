"""Whatever the workflow, the outcomes and the order of events: the engine ends where a naive model says."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.engine.phases import ACTIVE, TERMINAL, Phase
from tests.scheduler.engine.simulation import Run, expected, random_program

seeds = st.integers(min_value=0, max_value=2**32)
thorough = settings(max_examples=300, deadline=None)


@given(seeds)
@thorough
def test_it_ends_as_the_model_says(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    program = random_program(rng)
    phase, _ = expected(program, program.scope)
    run = Run(program, rng)
    assert run.to_the_end() is phase
    assert not [node for node in run.nodes.values() if node.phase in ACTIVE]


@given(seeds)
@thorough
def test_it_ends_every_node_as_the_model_says_when_nothing_is_stopped(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    program = random_program(rng, fail_after=True)
    phase, phases = expected(program, program.scope)
    run = Run(program, rng)
    assert run.to_the_end() is phase
    found = {key: node.phase for key, node in run.nodes.items() if key in phases}
    reached = {key: phase for key, phase in phases.items() if key in found}
    assert found == reached
    assert all(phase is Phase.SKIPPED for key, phase in phases.items() if key not in found and "-" not in key)


@given(seeds, st.integers(min_value=0, max_value=60))
@thorough
def test_it_ends_aborted_with_nothing_running(seed: int, after: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    program = random_program(rng)
    run = Run(program, rng)
    assert run.to_the_end(abort_after=after) in TERMINAL
    assert not [node for node in run.nodes.values() if node.phase in ACTIVE]


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_it_reaches_the_same_end_in_any_order(seed: int) -> None:
    program = random_program(random.Random(seed))  # noqa: S311
    ends = {Run(program, random.Random(order)).to_the_end() for order in range(5)}  # noqa: S311
    assert len(ends) == 1
