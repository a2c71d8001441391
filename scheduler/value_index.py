"""Plain inputs and outputs of executions, indexed so that executions are found by them.

Behind the executions, not on their way: every few seconds the slow queue's worker reads what was launched and what
succeeded since, from the object store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db import connection, transaction
from django.db.models import Q
from flyteidl.core import literals_pb2
from google.protobuf.message import DecodeError

from artifacts import marks
from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.literals import primary_uri
from artifacts.search.language import Condition
from artifacts.store import store
from scheduler.models import Execution, ExecutionValue, PhaseEvent, ValueSide, ValuesMark
from scheduler.phases import ExecutionPhase, Machine

INDEXING = (428, 17)  # advisory lock
AT_ONCE = 2000  # numbers of executions, and of events, looked through in one go
MAX_VALUES = 100  # of one execution and side
MAX_TEXT = 512
_TABLES = {ValueSide.INPUT: "scheduler_execution", ValueSide.OUTPUT: "scheduler_phaseevent"}
_COMPARISONS = {":": "", "=": "", ">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte"}


def index_values() -> int:
    """Index what is new; how many values that were. Any number may try at a time; the first time begins with what
    happens from then on. What the store raises is raised: it is tried again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", list(INDEXING))
        if not cursor.fetchone()[0]:
            return 0
        return sum(_index(side) for side in ValueSide)


def _index(side: ValueSide) -> int:
    mark = ValuesMark.objects.filter(side=side).first() or ValuesMark(side=side)
    after, upto = marks.step(mark, _TABLES[side], most=AT_ONCE)
    if after == upto:
        return 0
    if side is ValueSide.INPUT:
        found = Execution.objects.filter(pk__gt=after, pk__lte=upto).values_list("pk", "inputs_uri")
    else:
        ended = PhaseEvent.objects.filter(
            pk__gt=after, pk__lte=upto, machine=Machine.EXECUTION, to_phase=ExecutionPhase.SUCCEEDED
        )
        found = Execution.objects.filter(pk__in=ended.values("object_id")).values_list("pk", "outputs_uri")
    rows = [row for pk, uri in found if uri for row in _rows(side, pk, _read(uri))]
    ExecutionValue.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    return len(rows)


def _read(uri: str) -> Mapping[str, literals_pb2.Literal]:
    """Nothing, where the object is gone or is none that Causeway wrote."""
    try:
        return literals_pb2.LiteralMap.FromString(store().get(uri)).literals
    except (NotFound, InvalidArgument, DecodeError):
        return {}


def _rows(side: ValueSide, pk: int, values: Mapping[str, literals_pb2.Literal]) -> Iterator[ExecutionValue]:
    for name in sorted(values)[:MAX_VALUES]:
        plain = plain_value(values[name])
        if plain is not None and len(plain[0]) <= MAX_TEXT and len(name) <= 255 and "\x00" not in f"{name}{plain[0]}":
            yield ExecutionValue(execution_id=pk, side=side, name=name, text=plain[0], number=plain[1])


def plain_value(literal: literals_pb2.Literal) -> tuple[str, float | None] | None:
    """(text, number) of a number, text, truth value, time or address; None of all others, and of times and durations
    outside of what a calendar holds: whoever writes a literal may write such.
    """
    while literal.scalar.HasField("union"):  # Optional[float] and the like: what it is this time
        literal = literal.scalar.union.value
    primitive = literal.scalar.primitive
    kind = primitive.WhichOneof("value") if literal.scalar.HasField("primitive") else None
    if kind is None:
        uri = primary_uri(literal)
        return (uri, None) if uri else None
    if kind in ("integer", "float_value"):
        number = getattr(primitive, kind)
        return f"{number!r}", float(number)
    if kind == "boolean":
        return ("true" if primitive.boolean else "false"), None
    try:
        if kind == "datetime":
            return primitive.datetime.ToJsonString(), None
        if kind == "duration":
            seconds = primitive.duration.ToTimedelta().total_seconds()
            return f"{seconds:g}", seconds
    except (ValueError, OverflowError):
        return None
    return primitive.string_value, None


def searched(side: ValueSide, condition: Condition) -> Q:
    """`input.learning_rate:0.1`, `input.region:SEA`, `output.accuracy>0.9`, `input.data:s3://bucket/*`: executions with
    such a value. InvalidArgument.
    """
    name = condition.key.partition(".")[2]
    if not name:
        raise InvalidArgument(f"'{condition}' names no {side.value}: {side.value}.learning_rate:0.1")
    found = ExecutionValue.objects.filter(_fits(name, condition), side=side, name=name)
    return Q(pk__in=found.values("execution"))


def _fits(name: str, condition: Condition) -> Q:
    value, compared = condition.value, _COMPARISONS[condition.operator]
    number = _number(value)
    if compared:
        if number is None:
            raise InvalidArgument(f"'{condition}' compares with a number, not with '{value}'")
        return Q(**{f"number{compared}": number})
    if "*" in value:
        if not value.rstrip("*") or "*" in value.rstrip("*"):
            raise InvalidArgument(f"'{condition}': a * stands at the end, after what the value begins with")
        return Q(text__startswith=value.rstrip("*"))
    if number is not None:
        return Q(text=value) | Q(number=number)
    return Q(text__in=[value, value.lower()]) if value in ("True", "False") else Q(text=value)  # as Python has them


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
