"""How long an executor lets what happened wait for more of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.executors.pacing import LEAST, MOST, SAMPLES, Pacing


def pacing(held: Sequence[float], *, busy: bool = True) -> Pacing:
    made = Pacing()
    made.busy = busy
    for seconds in held:
        made.note(seconds)
    return made


@pytest.mark.parametrize(
    ("held", "busy", "seconds"),
    [
        ([0.4] * SAMPLES, True, 0.1),
        ([0.1] * SAMPLES, True, 0.05),
        ([0.2] * SAMPLES, False, LEAST),  # processors would stand idle
        ([0.2] * (SAMPLES - 1), True, LEAST),  # a chain that has only begun
        ([0.03] * SAMPLES, True, LEAST),
        ([900.0] * SAMPLES, True, MOST),
        ([9.0] * SAMPLES + [0.03] * SAMPLES, True, LEAST),  # what ended lately counts
    ],
)
def test_it_is_a_part_of_what_attempts_take_on_a_busy_machine(held: list[float], busy: bool, seconds: float) -> None:
    assert pacing(held, busy=busy).seconds() == pytest.approx(seconds)


@given(st.lists(st.floats(0, 1e6), max_size=20), st.booleans())
def test_it_is_never_much(held: list[float], busy: bool) -> None:
    assert LEAST <= pacing(held, busy=busy).seconds() <= MOST
