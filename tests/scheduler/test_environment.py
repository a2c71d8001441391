"""Variables of tasks that are refused where they are said."""

from __future__ import annotations

import pytest

from artifacts.exceptions import InvalidArgument
from scheduler.environment import check_variable


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("", "x", "has no name"),
        ("A=B", "x", "no '=' or NUL"),
        ("A", "x\x00", "holds a NUL character"),
        ("A", "x" * 200_000, "longer than"),
    ],
)
def test_what_no_process_has_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_variable(name, value)


def test_others_are_taken() -> None:
    for name, value in (("REUSE", "true"), ("A", "")):
        check_variable(name, value)
