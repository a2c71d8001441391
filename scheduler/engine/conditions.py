"""Conditions of branches: which arm is taken, from the values the branch node was given."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flyteidl.core import condition_pb2, literals_pb2

from scheduler.engine.graph import Case


class BadCondition(Exception):
    """The condition cannot be evaluated, or no arm is taken; `code` is Flyte's."""

    def __init__(self, message: str, code: str = "MalformedBranchUserError") -> None:
        super().__init__(message)
        self.code = code


_Comparison = condition_pb2.ComparisonExpression
_OPERATORS: Mapping[int, tuple[str, Callable[[Any, Any], bool]]] = {
    _Comparison.EQ: ("==", operator.eq),
    _Comparison.NEQ: ("!=", operator.ne),
    _Comparison.GT: (">", operator.gt),
    _Comparison.GTE: (">=", operator.ge),
    _Comparison.LT: ("<", operator.lt),
    _Comparison.LTE: ("<=", operator.le),
}


def choose(cases: Sequence[Case], inputs: Mapping[str, object]) -> str:
    """Id of the node of the first arm whose condition holds. BadCondition if there is none, or it cannot be told."""
    for case in cases:
        if case.condition is not None and not holds(case.condition, inputs):
            continue
        if case.error:
            raise BadCondition(case.error, "UserProvidedError")
        return case.node_id
    raise BadCondition("no condition of the branch was met")


def holds(expression: object, inputs: Mapping[str, object]) -> bool:
    if not isinstance(expression, condition_pb2.BooleanExpression):
        raise BadCondition("the branch has no condition")
    match expression.WhichOneof("expr"):
        case "comparison":
            return _compare(expression.comparison, inputs)
        case "conjunction":
            both = expression.conjunction
            left, right = holds(both.left_expression, inputs), holds(both.right_expression, inputs)
            return (left or right) if both.operator == condition_pb2.ConjunctionExpression.OR else (left and right)
    raise BadCondition("the branch has no condition")


def _compare(comparison: condition_pb2.ComparisonExpression, inputs: Mapping[str, object]) -> bool:
    left, right = _operand(comparison.left_value, inputs), _operand(comparison.right_value, inputs)
    sign, function = _OPERATORS[comparison.operator]
    if sign not in ("==", "!="):
        if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
            raise BadCondition(f"{left!r} {sign} {right!r} cannot be told: such values have no order")
    elif left is None or right is None:
        return function(left is None, right is None)
    if not _comparable(left, right):
        raise BadCondition(f"{type(left).__name__} cannot be compared with {type(right).__name__}")
    return function(left, right)


def _comparable(left: object, right: object) -> bool:
    numbers = (int, float)
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    return type(left) is type(right) or (isinstance(left, numbers) and isinstance(right, numbers))


def _operand(operand: condition_pb2.Operand, inputs: Mapping[str, object]) -> object:
    match operand.WhichOneof("val"):
        case "primitive":
            return _value(literals_pb2.Scalar(primitive=operand.primitive), "the constant")
        case "scalar":
            return _value(operand.scalar, "the constant")
    literal = inputs.get(operand.var)
    if not isinstance(literal, literals_pb2.Literal):
        raise BadCondition(f"there is no value for {operand.var!r}")
    if literal.WhichOneof("value") != "scalar":
        raise BadCondition(f"only simple values can be compared, {operand.var!r} is none")
    return _value(literal.scalar, repr(operand.var))


def _value(scalar: literals_pb2.Scalar, name: str) -> object:
    match scalar.WhichOneof("value"):
        case "none_type":
            return None
        case "union":
            return _value(scalar.union.value.scalar, name)
        case "primitive":
            primitive = scalar.primitive
            match primitive.WhichOneof("value"):
                case "datetime":
                    return (primitive.datetime.seconds, primitive.datetime.nanos)
                case "duration":
                    return (primitive.duration.seconds, primitive.duration.nanos)
                case str() as which:
                    return getattr(primitive, which)
    raise BadCondition(f"only simple values can be compared, {name} is none")
