"""Executions are found by their plain inputs and outputs."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from artifacts.exceptions import InvalidArgument
from artifacts.literals import from_json
from artifacts.store import store
from scheduler.models import Execution, ExecutionValue, PhaseEvent
from scheduler.phases import ExecutionPhase, Machine
from scheduler.search import EXECUTIONS
from scheduler.value_index import index_values
from tests.console.rest.rows import START, make_execution
from tests.transactions import read_on

pytestmark = pytest.mark.django_db(transaction=True)

SIMPLE = {int: types_pb2.INTEGER, float: types_pb2.FLOAT, str: types_pb2.STRING, bool: types_pb2.BOOLEAN}


@pytest.fixture(autouse=True)
def begun(object_store: str) -> None:
    index_values()


def literal_of(value: Any) -> literals_pb2.Literal:
    if isinstance(value, literals_pb2.Literal):
        return value
    return from_json(value, types_pb2.LiteralType(simple=SIMPLE[type(value)]), name="x")


def written(name: str, **values: Any) -> str:
    uri = f"{store().root}/metadata/demo/development/{name}.pb"
    literals = {key: literal_of(value) for key, value in values.items()}
    store().put(uri, literals_pb2.LiteralMap(literals=literals).SerializeToString())
    return uri


def launched(name: str, **values: Any) -> Execution:
    return make_execution(name, inputs_uri=written(f"{name}-in", **values))


def succeeded(execution: Execution, **values: Any) -> None:
    Execution.objects.filter(pk=execution.pk).update(outputs_uri=written(f"{execution.name}-out", **values))
    PhaseEvent.objects.create(
        execution_id=execution.pk,
        machine=Machine.EXECUTION,
        object_id=execution.pk,
        from_phase=ExecutionPhase.RUNNING,
        to_phase=ExecutionPhase.SUCCEEDED,
        at=START,
    )


def indexed() -> int:
    return read_on(index_values)


def found(text: str) -> set[str]:
    return set(EXECUTIONS.narrow(Execution.objects.all(), text).values_list("name", flat=True))


def a_file(uri: str) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(uri=uri)))


def test_inputs_of_each_plain_kind_are_found() -> None:
    launched("a", learning_rate=0.1, epochs=3, region="SEA", dry=True, data=a_file("s3://bucket/raw/x.csv"))
    launched("b", learning_rate=0.01, epochs=30, region='say "hi" now', dry=False, data=a_file("s3://bucket/y.csv"))
    assert indexed() == 10
    assert found("input.learning_rate:0.1") == found("input.learning_rate=1e-1") == {"a"}
    assert found("input.learning_rate<0.1") == {"b"} and found("input.learning_rate<=0.1") == {"a", "b"}
    assert found("input.epochs>3") == {"b"} and found("input.epochs:3") == {"a"} and found("input.epochs:3.0") == {"a"}
    assert found("input.region:SEA") == found("input.dry:true") == {"a"}
    assert found(r'input.region:"say \"hi\" now"') == {"b"}
    assert found("-input.region:SEA") == {"b"} and found("input.region!=SEA") == {"b"}
    assert found("input.data:s3://bucket/raw/x.csv") == found("input.data:s3://bucket/raw/*") == {"a"}
    assert found("input.epochs:3 input.epochs:30") == {"a", "b"}  # the same filter twice means either
    assert found("input.epochs:3 input.region:SEA phase:running") == {"a"}
    assert found("input.nothing:1") == set()
    assert found("output.epochs:3") == set()


def test_what_may_be_one_of_several_types_is_found_as_what_it_is() -> None:
    def one_of(value: literals_pb2.Literal) -> literals_pb2.Literal:
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=value)))

    nothing = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    launched("a", rate=one_of(literal_of(0.1)), deep=one_of(one_of(literal_of("x"))), none=one_of(nothing), dry=True)
    assert indexed() == 3
    assert found("input.rate:0.1") == found("input.deep:x") == found("input.dry:True") == {"a"}
    assert found("input.dry:False") == found("input.none:x") == set()


def test_outputs_are_found_once_it_succeeded() -> None:
    execution = launched("a", x=1)
    launched("b", x=1)
    succeeded(execution, accuracy=0.93, model=a_file("s3://bucket/model"))
    indexed()
    assert found("output.accuracy>=0.9") == {"a"} == found("output.model:s3://bucket/model")


def test_each_is_indexed_once_however_often_it_is_asked() -> None:
    launched("a", x=1)
    assert indexed() == 1
    assert indexed() == 0
    launched("b", x=2)
    assert indexed() == 1
    assert ExecutionValue.objects.count() == 2


def test_one_that_is_committed_late_is_not_left_out() -> None:
    wanted = connection.get_connection_params()
    for own in ("cursor_factory", "context"):
        wanted.pop(own, None)
    late = launched("late", x=1)
    Execution.objects.filter(pk=late.pk).delete()
    with psycopg.connect(**wanted) as other:
        given = other.execute("SELECT nextval(pg_get_serial_sequence('scheduler_execution', 'id'))").fetchone()
        other.execute("SELECT pg_current_xact_id()")  # under way, and holds a number
        launched("early", x=1)
        assert [index_values() for _ in range(4)] == [0, 0, 0, 0]
    assert given is not None
    late.pk = given[0]
    late.save(force_insert=True)
    indexed()
    assert found("input.x:1") == {"early", "late"}


def test_what_cannot_be_read_or_is_too_long_is_left_out() -> None:
    make_execution("gone", inputs_uri=f"{store().root}/metadata/demo/development/nothing.pb")
    store().put(f"{store().root}/metadata/demo/development/broken.pb", b"\xff\xff\xff")
    make_execution("broken", inputs_uri=f"{store().root}/metadata/demo/development/broken.pb")
    make_execution("none")
    launched("long", text="x" * 600, short="y")
    assert indexed() == 1
    assert found("input.short:y") == {"long"}


def test_a_value_that_no_calendar_or_column_holds_stops_nobody() -> None:
    def primitive(**value: Any) -> literals_pb2.Literal:
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(**value)))

    late, long = Timestamp(seconds=10**15), Duration(seconds=10**18)
    launched("odd", at=primitive(datetime=late), took=primitive(duration=long), kept="y", **{"nul\x00": "z"})
    launched("next", kept="y")
    assert indexed() == 2
    assert found("input.kept:y") == {"odd", "next"}


def test_an_execution_that_goes_takes_its_values_along() -> None:
    launched("a", x=1)
    indexed()
    Execution.objects.all().delete()
    assert not ExecutionValue.objects.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("input.x>abc", "compares with a number"),
        ("input.x:", "needs a value"),
        ("input.x:*", "stands at the end"),
        ("input.x:a*b*", "stands at the end"),
        ("other.x:1", "input.NAME:"),
        ("output.:1", "names no output"),
    ],
)
def test_what_makes_no_sense_is_told(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        found(text)
