"""Inputs in a command line are written as flyteplugins write them (Go's %v), and no digit is lost."""

from __future__ import annotations

import math
import struct

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import literals_pb2, tasks_pb2, workflow_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from artifacts.literals.numbers import as_go_prints, plain
from scheduler.attempts.spec import AttemptSpec
from scheduler.graphs import Target
from scheduler.shell.attempt_spec import spec_of
from scheduler.shell.task_command import Run, as_argument
from scheduler.uris import Uris
from tests.artifacts.literal_trees import packed, plain_binary, primitive

# As `fmt.Printf("%v")` of Go 1.2x printed them.
GO = [
    (0.123456789, "0.123456789"), (1234567.0, "1.234567e+06"), (999999.0, "999999"), (1e6, "1e+06"), (1e5, "100000"),
    (123456.7, "123456.7"), (12345678.9, "1.23456789e+07"), (1e20, "1e+20"), (1e21, "1e+21"), (0.0001, "0.0001"),
    (0.00001, "1e-05"), (-0.0, "-0"), (0.0, "0"), (1.5, "1.5"), (100.0, "100"), (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"), (0.1 + 0.2, "0.30000000000000004"), (-2.5e-7, "-2.5e-07"),
    (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text"), GO, ids=str)
def test_floats_are_written_as_go_writes_them(number: float, text: str) -> None:
    assert as_go_prints(number) == text
    assert as_argument(primitive(float_value=number)) == text


@given(st.floats(allow_nan=False))
@example(2.0**53 + 2)
def test_no_digit_is_lost(number: float) -> None:
    for text in (as_go_prints(number), plain(number)):
        assert struct.pack("d", float(text)) == struct.pack("d", number)


ARGUMENTS: list[tuple[literals_pb2.Literal, str]] = [
    (primitive(integer=-(2**63)), "-9223372036854775808"),
    (primitive(boolean=True), "true"),
    (primitive(duration={"seconds": 5400}), "5400s"),
    (primitive(duration={"seconds": 100_000_000, "nanos": 1}), "100000000.000000001s"),
    (primitive(duration={"seconds": -1, "nanos": -500_000_000}), "-1.5s"),
    (primitive(datetime={"seconds": 0, "nanos": 250_000_000}), "1970-01-01T00:00:00.25Z"),
    (primitive(datetime={"seconds": 1, "nanos": 1}), "1970-01-01T00:00:01.000000001Z"),
    (packed({"b": 1.0, "a": None, "c": [True, "x", 0.1]}), "map[a:<nil> b:1 c:[true x 0.1]]"),
    (packed(1234567.0), "1.234567e+06"),
    (packed(b"\x01\x02"), "[1 2]"),
]


@pytest.mark.parametrize(("literal", "text"), ARGUMENTS, ids=[text for _, text in ARGUMENTS])
def test_values_are_written_whole(literal: literals_pb2.Literal, text: str) -> None:
    assert as_argument(literal) == text


def test_bytes_of_another_kind_are_refused() -> None:
    for literal in (plain_binary(b"x"), literals_pb2.Literal(scalar={"binary": {"value": b"\xc1", "tag": "msgpack"}})):
        with pytest.raises(InvalidArgument, match="cannot stand in a command line"):
            as_argument(literal)


def command(args: list[str], env: dict[str, str], **inputs: literals_pb2.Literal) -> AttemptSpec:
    container = tasks_pb2.Container(image="i", args=args)
    container.env.extend(literals_pb2.KeyValuePair(key=key, value=value) for key, value in env.items())
    run = Run(
        1, "p", "d", "run", execution_pb2.ExecutionSpec(), Uris("/store/metadata/p/d/run", "/store/raw"), "n0", 0,
        lambda: literals_pb2.LiteralMap(literals=inputs),
    )  # fmt: skip
    return spec_of(run, Target(workflow_pb2.Node(), tasks_pb2.TaskTemplate(container=container)))


def test_what_no_door_saw_is_refused_before_it_is_queued() -> None:
    """A dynamic task brings tasks of its own, and an input may stand in the command."""
    assert command(["{{.inputs.x}}"], {"A": "1"}, x=primitive(string_value="ok")).argv == ("ok",)
    with pytest.raises(InvalidArgument, match="the command of node n0 holds a NUL character"):
        command(["{{.inputs.x}}"], {}, x=primitive(string_value="a\0b"))
    for env in ({"": "x"}, {"A=B": "x"}, {"A": "a\0b"}):
        with pytest.raises(InvalidArgument, match="the environment of node n0"):
            command([], env)


def test_attempts_of_deeply_nested_nodes_have_names_that_fit() -> None:
    def name(key: str) -> str:
        run = Run(
            1, "p", "d", "r" * 63, execution_pb2.ExecutionSpec(), Uris("/a", "/b"), key, 12, literals_pb2.LiteralMap
        )
        return run.attempt_name

    deep = "-".join(["n" * 99] * 5)
    assert len(name(deep)) <= 255 and name(deep) != name(deep[:-1] + "x") and name(deep) == name(deep)
    assert name("n0-0-n1") == f"{'r' * 63}-1-n0-0-n1-12"
