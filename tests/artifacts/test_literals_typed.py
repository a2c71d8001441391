"""What a person typed, read by the type and not by its looks."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import pytest
from flytekit import StructuredDataset
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

from artifacts.exceptions import InvalidArgument
from artifacts.literals import from_text, to_json
from tests.artifacts.test_literals import Colour, Point, as_flytekit_reads, type_of


class Level(enum.Enum):
    TRUE = "true"
    ONE = "1"


UTC = dt.timezone.utc
READ = [
    (str, "true", "true"),
    (str, "5", "5"),
    (str, "null", "null"),
    (str, '"quoted"', '"quoted"'),
    (str, '{"a": 1}', '{"a": 1}'),
    (str, " spaced ", " spaced "),
    (str, "", ""),
    (Level, "true", Level.TRUE),
    (Level, "1", Level.ONE),
    (bool, "true", True),
    (bool, "0", False),
    (int, "-7", -7),
    (float, "5", 5.0),
    (float, "1e-3", 0.001),
    (dt.datetime, "2026-05-17", dt.datetime(2026, 5, 17, tzinfo=UTC)),
    (dt.datetime, "2026-05-17T12:00+02:00", dt.datetime(2026, 5, 17, 10, tzinfo=UTC)),
    (dt.datetime, '"2026-05-17"', dt.datetime(2026, 5, 17, tzinfo=UTC)),
    (dt.timedelta, "PT1H30M", dt.timedelta(minutes=90)),
    (dt.timedelta, "90", dt.timedelta(seconds=90)),
    (list[str], '["true", "5"]', ["true", "5"]),
    (dict[str, int], '{"a": 1}', {"a": 1}),
    (str | None, "true", "true"),
    (str | None, "5", "5"),
    (str | None, "null", None),
    (int | str, "5", 5),
    (str | int, "five", "five"),
    (int | str, "007", "007"),
    (int | float | str | None, "+1", "+1"),
    (float | str, "1_000.5", "1_000.5"),
    (float | str, "1.50", 1.5),
    (bool | str, "0", "0"),
    (bool | str, "true", True),
    (int | None, "007", 7),
    (float | None, "5", 5.0),
    (float | int, "5", 5),
    (list[int] | None, "[1]", [1]),
]


@pytest.mark.parametrize(("python_type", "text", "expected"), READ, ids=lambda each: str(each)[:20])
def test_a_task_gets_what_was_typed(python_type: Any, text: str, expected: object) -> None:
    literal_type = type_of(python_type)
    assert as_flytekit_reads(from_text(text, literal_type, name="x"), python_type) == expected


def test_dataclasses_are_json() -> None:
    text = '{"x": 1, "inner": {"weight": 0.5}, "names": []}'
    point = as_flytekit_reads(from_text(text, type_of(Point), name="x"), Point)
    assert (point.x, point.inner.weight) == (1, 0.5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("python_type", [FlyteFile, FlyteDirectory, StructuredDataset, FlyteFile | None])
@pytest.mark.parametrize("text", ["s3://bucket/true", "/data/5", '{"uri": "s3://bucket/x", "format": "csv"}'])
def test_data_is_given_by_its_address(python_type: Any, text: str) -> None:
    literal_type = type_of(python_type)
    found = to_json(from_text(text, literal_type, name="x"), literal_type)
    assert found["uri"] in (text, "s3://bucket/x")


@pytest.mark.parametrize(
    ("python_type", "text", "why"),
    [
        (int, "five", "input \"x\" expects int: got str 'five'"),
        (int, "", "expects int"),
        (bool, "maybe", "expects bool: got str 'maybe'"),
        (Colour, "green", r"expects enum\(red, blue\): got str 'green'"),
        (dt.datetime, "tomorrow", "not a date and time in ISO 8601"),
        (dt.timedelta, "soon", "not a duration"),
        (list[int], "1, 2", r"expects list\[int\]: not JSON"),
        (list[int], '["a"]', r"at \[0\] got str 'a'"),
        (FlyteFile, "data.csv", "expects file: 'data.csv' is neither a URI nor an absolute path"),
        (FlyteFile, '{"uri"', "not JSON"),
        (int | None, "many", r"expects int \| none: got 'many'"),
    ],
)
def test_it_says_what_does_not_fit(python_type: Any, text: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        from_text(text, type_of(python_type), name="x")


def test_a_name_that_is_said_twice_loses_no_value_without_a_word() -> None:
    """Two rows of a map may get the same key in a form."""
    for text in ('{"SEA": 1, "SEA": 2}', '{"SEA": 1, "LAX": 3, "SEA": 1}'):
        with pytest.raises(InvalidArgument, match='"SEA" is named twice in one object'):
            from_text(text, type_of(dict[str, int]), name="limits")
    with pytest.raises(InvalidArgument, match='"x" is named twice in one object'):
        from_text('[{"x": 1, "y": 2, "x": 3}]', type_of(list[Point]), name="points")
