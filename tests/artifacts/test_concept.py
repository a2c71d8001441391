"""The change of a metric over versions, against a count of all the ways in which chance could have dealt the values."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.profiles.concept import change


def by_hand(recent: list[int], before: list[int]) -> float:
    """The share of all divisions of the values in which the recent ones are at least as often the smaller."""
    values = recent + before

    def smaller(chosen: tuple[int, ...]) -> int:
        inside = [values[at] for at in chosen]
        outside = [values[at] for at in range(len(values)) if at not in chosen]
        return sum(one < other for one in inside for other in outside)

    seen = smaller(tuple(range(len(recent))))
    deals = [smaller(chosen) for chosen in combinations(range(len(values)), len(recent))]
    return sum(deal >= seen for deal in deals) / len(deals)


@given(st.lists(st.integers(-50, 50), min_size=6, max_size=9, unique=True), st.integers(3, 3), st.booleans())
def test_its_p_value_is_the_share_of_deals_that_are_as_bad(values: list[int], size: int, more: bool) -> None:
    recent, before = values[:size], values[size:]
    found = change(recent, before, more_is_better=more)
    assert found is not None
    signed = (recent, before) if more else ([-one for one in recent], [-one for one in before])
    assert found.p_value == pytest.approx(by_hand(*signed), abs=1e-9)
    assert found.worse == (found.before - found.recent if more else found.recent - found.before)


def test_of_two_values_nothing_can_be_said() -> None:
    assert change([1.0, 2.0], [3.0, 4.0, 5.0], more_is_better=True) is None
    assert change([1.0, 2.0, 3.0], [3.0, 4.0], more_is_better=True) is None
